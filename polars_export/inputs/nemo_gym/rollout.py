"""A rollout of NeMo Gym as a trace."""

from __future__ import annotations

import hashlib
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from polars_export.json_values import describe_value
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.json_text import decode_arguments, to_text
from polars_export.messages.normalise import normalise_answer
from polars_export.messages.records import Trace
from polars_export.messages.scores import ODD_SCORES, finite_score
from polars_export.messages.tool_schemas import tool_schemas
from polars_export.messages.values import name_of, object_of, text_of

if TYPE_CHECKING:
    from polars_export.inputs.record_decoder import RecordPlace
    from polars_export.json_values import Json

__all__ = ["Rollout", "understand"]


COPIES = "items of earlier transitions"
HOSTED_TOOLS = "tools that the provider runs"


class Request(Struct, gc=False):
    """What is needed of a request."""

    input: Any = None
    instructions: Any = None
    tools: Any = None


class Response(Struct, gc=False):
    """What is needed of a response."""

    output: Any = None
    model: Any = None
    tools: Any = None
    error: Any = None
    incomplete_details: Any = None


class Rollout(Struct, gc=False):
    """What is needed of a rollout; `response` is null where the model was not reached."""

    responses_create_params: Request
    response: Response | None = None
    reward: Any = None
    task_index: Any = msgspec.field(name="_ng_task_index", default=None)
    rollout_index: Any = msgspec.field(name="_ng_rollout_index", default=None)
    failure_class: Any = msgspec.field(name="_ng_failure_class", default=None)
    agent_ref: Any = None


def understand(record: Rollout, place: RecordPlace) -> Trace:
    """Return the trace of a rollout.

    Raises:
        InvalidRecordError: Something in it is not what it should be.
    """
    request, response = record.responses_create_params, record.response or Response()
    path, answer_path = f"{place.path}.responses_create_params", f"{place.path}.response"
    prompt = _prompt(request, path)
    answer, copies = _last_transition(response.output)
    messages, dropped, context = normalise_answer((prompt, f"{path}.input"), (answer, f"{answer_path}.output"))
    decode_arguments(messages, place.path)
    trace = Trace(name_of(record.task_index) or _task_of(request, answer) or place.name, messages, dropped=dropped)
    trace.context = context
    trace.eval_set_id = text_of(object_of(record.agent_ref).get("name"))
    trace.run = name_of(record.rollout_index)
    trace.model_id = text_of(response.model)
    tools, where = (request.tools, path) if request.tools else (response.tools, answer_path)
    functions, hosted = _functions(tools)
    trace.tools = tool_schemas(functions, f"{where}.tools")
    trace.dropped_kinds = {COPIES: copies, HOSTED_TOOLS: hosted}
    _judge(trace, record, response, place)
    trace.dropped_kinds = {kind: count for kind, count in trace.dropped_kinds.items() if count}
    return trace


def _judge(trace: Trace, record: Rollout, response: Response, place: RecordPlace) -> None:
    """Set what a rollout says of its success; the reward of one that failed says nothing."""
    reward = finite_score(record.reward, f"{place.path}.reward")
    failure = text_of(record.failure_class)
    if failure is None:
        trace.metrics = [] if reward is None else [("reward", reward)]
        trace.dropped_kinds = {**trace.dropped_kinds, ODD_SCORES: int(reward is None and record.reward is not None)}
    elif response.error is None:
        trace.error = failure
    if response.error is not None:
        trace.error = response.error if isinstance(response.error, str) else to_text(response.error, place.path)
    if object_of(response.incomplete_details).get("reason") == "max_output_tokens":
        trace.stop_reason = "length"


def _last_transition(output: Json) -> tuple[Json, int]:
    """Return the items of a response, and how many items of other transitions are not among them.

    An agent may give its steps as transitions: each an array of the items so far. The last one has them all, unless the
    agent has changed its history.
    """
    if output is None:
        return [], 0
    if not isinstance(output, list) or not output or not all(isinstance(item, list) for item in output):
        return output, 0
    lost = sum(
        item not in after for before, after in pairwise(output) if after[: len(before)] != before for item in before
    )
    return output[-1], lost


def _functions(tools: Json) -> tuple[Json, int]:
    """Return the tools that are functions, and how many others there are, which the provider runs."""
    if not isinstance(tools, list):
        return tools, 0
    hosted = [
        tool
        for tool in tools
        if isinstance(tool, dict)
        and tool.get("type", "function") != "function"
        and not {"name", "function"} & tool.keys()
    ]
    return [tool for tool in tools if tool not in hosted], len(hosted)


def _prompt(request: Request, path: str) -> list[Json]:
    """Return the messages of a request; its instructions stand before its input, which may be a text."""
    items: list[Json] = []
    if request.instructions is not None:
        items.append({"role": "system", "content": request.instructions})
    if isinstance(request.input, str):
        return [*items, {"role": "user", "content": request.input}]
    if not isinstance(request.input, list):
        raise InvalidRecordError(f"{path}.input", "a string or an array of items", describe_value(request.input))
    return [*items, *request.input]


def _task_of(request: Request, answer: Json) -> str | None:
    """Return a name for the task of a request, where no index does: a hash of what was asked; None if nothing was.

    Agents with a prompt of their own leave the input empty, and put what was asked before their answer.
    """
    asked = request.input or list(takewhile(_is_asked, answer if isinstance(answer, list) else ()))
    return hashlib.sha256(msgspec.json.encode(asked, order="sorted")).hexdigest()[:16] if asked else None


def _is_asked(item: Json) -> bool:
    return object_of(item).get("role") in {"system", "developer", "user"}
