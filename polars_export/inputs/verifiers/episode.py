"""An episode of verifiers 0.4: the traces of its agents, each a graph of messages, as the traces of its branches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from polars_export.inputs.verifiers.branches import Branch, branches_of
from polars_export.json_values import describe_value
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.json_text import decode_arguments
from polars_export.messages.normalise import normalise_items
from polars_export.messages.records import Trace
from polars_export.messages.scores import ODD_SCORES, metrics_of
from polars_export.messages.tool_schemas import tool_schemas
from polars_export.messages.values import name_of, object_of, text_of

if TYPE_CHECKING:
    from polars_export.inputs.record_decoder import RecordPlace
    from polars_export.json_values import Json

__all__ = ["Episode", "understand_episode"]

_LIMITS = frozenset({"max_turns", "max_input_tokens", "max_output_tokens", "max_total_tokens", "context_length"})
"""The conditions that stop a run for want of room, as `Trace.is_truncated` of verifiers has them."""


class Node(Struct, gc=False):
    """What is needed of a node: its tokens, the bulk of it, are skipped."""

    message: Any
    parent: Any = None
    sampled: Any = False
    tools: Any = None
    semantic_parents: Any = None


class AgentTrace(Struct, gc=False):
    """What is needed of an agent's trace."""

    nodes: list[Node] = []
    id: Any = None
    task: Any = None
    tools: Any = None
    calls: Any = None
    rewards: Any = None
    metrics: Any = None
    ok: Any = False
    errors: Any = None
    stop_condition: Any = None


class Episode(Struct, gc=False):
    """What is needed of an episode."""

    traces: list[AgentTrace]
    env: Any = None
    task: Any = None
    group: Any = None
    errors: Any = None


class _Whole(NamedTuple):
    """What all traces of an episode share."""

    eval_set_id: str | None
    case_id: str
    group: str | None


def understand_episode(record: Episode, place: RecordPlace) -> list[Trace]:
    """Return the traces of an episode: of each agent those of its branches; one without turns if no agent came to be.

    Raises:
        InvalidRecordError: Something in it is not what it should be.
    """
    env, task = object_of(record.env), object_of(record.task)
    name = text_of(env.get("name")) or text_of(env.get("id")) or text_of(record.env)
    case = name_of(task.get("key")) or name_of(task.get("hash")) or place.name
    whole = _Whole(name, case, name_of(object_of(record.group).get("id")) or name_of(record.group))
    traces: list[Trace] = []
    for number, own in enumerate(record.traces):
        traces += _of_agent(own, whole, f"{place.path}.traces[{number}]")
    if not traces:
        traces = [Trace(case, (), eval_set_id=name, run=whole.group, error=_last_error(record.errors))]
    return traces


def _of_agent(own: AgentTrace, whole: _Whole, path: str) -> list[Trace]:
    """Return the traces of an agent: one for each branch, since each is what the model saw at once."""
    parents, sampled = [node.parent for node in own.nodes], _are_sampled(own, path)
    branches, abandoned = branches_of(parents, sampled, path, _failed_compactions(own))
    task = object_of(own.task)
    shared = Trace(name_of(task.get("key")) or name_of(task.get("hash")) or whole.case_id, ())
    shared.eval_set_id, shared.tools = whole.eval_set_id, tool_schemas(own.tools or None, f"{path}.tools")
    shared.error = None if own.ok is True else _last_error(own.errors)
    _score(shared, own)
    if abandoned:
        shared.dropped_kinds = {**shared.dropped_kinds, "messages of abandoned branches": abandoned}
    traces = []
    for number, branch in enumerate(branches or [Branch((), frozenset())]):
        names = (whole.group, name_of(own.id), str(number) if len(branches) > 1 else None)
        traces.append(_of_branch(own, branch, shared, path))
        traces[-1].run = "/".join(filter(None, names)) or None
        if number:
            traces[-1].dropped_kinds = {}
    return traces


def _are_sampled(own: AgentTrace, path: str) -> list[bool]:
    """Return which nodes a model call has produced.

    Raises:
        InvalidRecordError: A node has no message.
    """
    for number, node in enumerate(own.nodes):
        if not isinstance(node.message, dict):
            raise InvalidRecordError(f"{path}.nodes[{number}].message", "a message", describe_value(node.message))
    return [node.sampled is True for node in own.nodes]


def _failed_compactions(own: AgentTrace) -> set[int]:
    """Return the nodes with summaries that the harness has asked for and not gone on with."""
    links = [
        (number, text_of(object_of(link).get("type")), object_of(link).get("node"))
        for number, node in enumerate(own.nodes)
        for link in (node.semantic_parents if isinstance(node.semantic_parents, list) else ())
    ]
    accepted = [source for _, kind, source in links if kind == "compaction"]
    return {number for number, kind, _ in links if kind == "compaction_attempt" and number not in accepted}


def _of_branch(own: AgentTrace, branch: Branch, shared: Trace, path: str) -> Trace:
    messages: list[Any] = []
    dropped: list[tuple[int, str]] = []
    context: set[int] = set()
    for number in branch.nodes:
        at = f"{path}.nodes[{number}].message"
        made = normalise_items([(_message(own.nodes[number].message), at)])
        if number not in branch.own:
            context |= {len(messages) + index for index, one in enumerate(made.messages) if one.role == "assistant"}
        dropped += [(len(messages) + index, column) for index, column in made.dropped]
        messages += made.messages
    decode_arguments(messages, path)
    calls = [object_of(call) for call in own.calls] if isinstance(own.calls, list) else []
    in_branch = [call for call in calls if call.get("node") in branch.nodes] or calls
    trace = Trace(shared.case_id, messages, shared.metrics, shared.score, shared.eval_set_id, dropped=dropped)
    root = own.nodes[branch.nodes[0]] if branch.nodes else Node(None)
    trace.tools = tool_schemas(root.tools or None, f"{path}.nodes.tools") or shared.tools
    trace.error, trace.context = shared.error, context
    trace.dropped_kinds = shared.dropped_kinds
    trace.model_id = next((model for call in in_branch if (model := text_of(call.get("model")))), None)
    ended = [call.get("finish_reason") for call in in_branch if call.get("error") is None]
    if text_of(own.stop_condition) in _LIMITS or ended[-1:] == ["length"]:
        trace.stop_reason = "length"
    return trace


def _message(message: dict[str, Json]) -> Json:
    return {key: value for key, value in message.items() if key != "provider_state"}


def _last_error(errors: Json) -> str | None:
    last = object_of(errors[-1]) if isinstance(errors, list) and errors else {}
    return text_of(last.get("message")) or text_of(last.get("type"))


def _score(trace: Trace, own: AgentTrace) -> None:
    """Set the score, which is the weighted sum of the rewards, and the metrics beside it."""
    rewards = {name: object_of(reward) for name, reward in object_of(own.rewards).items()}
    scores, odd = metrics_of({name: reward.get("score") for name, reward in rewards.items()})
    weights, _ = metrics_of({name: reward.get("weight", 1.0) for name, reward in rewards.items()})
    if scores:
        trace.score = sum(score * dict(weights).get(name, 1.0) for name, score in scores)
    metrics, more = metrics_of(own.metrics)
    trace.metrics = [*scores, *metrics]
    if odd + more:
        trace.dropped_kinds = {ODD_SCORES: odd + more}
