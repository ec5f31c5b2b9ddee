"""One agent's trace in an episode of verifiers 0.4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from polars_export.json_values import describe_value
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.json_text import decode_arguments
from polars_export.messages.normalise import normalise
from polars_export.messages.records import Trace
from polars_export.messages.scores import ODD_SCORES, metrics_of
from polars_export.messages.tool_schemas import tool_schemas
from polars_export.messages.values import name_of, object_of, text_of

if TYPE_CHECKING:
    from polars_export.inputs.record_decoder import RecordPlace
    from polars_export.json_values import Json

__all__ = ["KEYS", "Episode", "understand_episode"]


class AgentTrace(Struct, gc=False):
    """What is needed of an agent's trace."""

    nodes: Any = None
    id: Any = None
    task: Any = None
    agent: Any = None
    tools: Any = None
    calls: Any = None
    rewards: Any = None
    metrics: Any = None
    errors: Any = None
    stop_condition: Any = None


class Episode(Struct, gc=False):
    """An episode with one of its traces."""

    traces: list[AgentTrace]
    env: Any = None
    task: Any = None


KEYS = ("env", "task")
"""The keys of an episode that each of its traces needs."""


def understand_episode(record: Episode, place: RecordPlace) -> Trace:
    """Return the trace of an agent: its last branch, from the root to the leaf, as the transcript of verifiers has it.

    Raises:
        InvalidRecordError: Something in it is not what it should be.
    """
    (own,) = record.traces
    path = f"{place.path}.traces[*].nodes"
    nodes = _branch(own.nodes, path)
    messages, dropped = normalise([_message(node) for node in nodes], path)
    decode_arguments(messages, path)
    task = object_of(own.task) or object_of(record.task)
    case = name_of(task.get("key")) or name_of(task.get("hash")) or place.name
    trace = Trace(case, messages, dropped=dropped)
    env = object_of(record.env)
    trace.eval_set_id = text_of(env.get("name")) or text_of(env.get("id")) or text_of(record.env)
    trace.run = name_of(own.id)
    _score(trace, own)
    calls = own.calls if isinstance(own.calls, list) else []
    trace.model_id = next((model for call in calls if (model := text_of(object_of(call).get("model")))), None)
    trace.tools = tool_schemas(own.tools or (nodes[0].get("tools") if nodes else None), f"{place.path}.traces[*].tools")
    errors = own.errors if isinstance(own.errors, list) else []
    last = object_of(errors[-1]) if errors else {}
    trace.error = text_of(last.get("message")) or text_of(last.get("type"))
    trace.context = {
        number
        for number, node in enumerate(nodes)
        if node["message"].get("role") == "assistant" and not node.get("sampled")
    }
    if others := len(own.nodes) - len(nodes):
        trace.dropped_kinds = {**trace.dropped_kinds, "messages of other branches": others}
    return trace


def _branch(nodes: Json, path: str) -> list[dict[str, Json]]:
    """Return the nodes from a root to the last leaf."""
    if not isinstance(nodes, list):
        raise InvalidRecordError(path, "an array of nodes", describe_value(nodes))
    for number, node in enumerate(nodes):
        if not isinstance(node, dict) or not isinstance(node.get("message"), dict):
            raise InvalidRecordError(f"{path}[{number}]", "a node with a message", describe_value(node))
        parent = node.get("parent")
        if parent is not None and (not isinstance(parent, int) or not 0 <= parent < number):
            raise InvalidRecordError(f"{path}[{number}].parent", "the number of a node before", describe_value(parent))
    branch = nodes[-1:]  # nobody's parent comes behind it: so the last one is a leaf
    while branch and (above := branch[-1].get("parent")) is not None:
        branch.append(nodes[above])
    return branch[::-1]


def _message(node: dict[str, Json]) -> Json:
    message = node["message"]
    return {key: value for key, value in message.items() if key != "provider_state"}


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
