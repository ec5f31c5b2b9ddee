"""A rollout of NeMo Gym as a trace."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from polars_export.json_values import describe_value
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.json_text import decode_arguments, to_text
from polars_export.messages.normalise import normalise_parts
from polars_export.messages.records import Trace
from polars_export.messages.scores import ODD_SCORES, finite_score
from polars_export.messages.tool_schemas import tool_schemas
from polars_export.messages.values import name_of, object_of, text_of

if TYPE_CHECKING:
    from polars_export.inputs.record_decoder import RecordPlace
    from polars_export.json_values import Json

__all__ = ["Rollout", "understand"]


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
    agent_ref: Any = None


def understand(record: Rollout, place: RecordPlace) -> Trace:
    """Return the trace of a rollout.

    Raises:
        InvalidRecordError: Something in it is not what it should be.
    """
    request, response = record.responses_create_params, record.response or Response()
    path = f"{place.path}.responses_create_params"
    parts = [(_prompt(request, path), f"{path}.input")]
    if response.output is not None:
        parts.append((response.output, f"{place.path}.response.output"))
    messages, dropped = normalise_parts(parts)
    decode_arguments(messages, place.path)
    trace = Trace(name_of(record.task_index) or _hash(request.input), messages, dropped=dropped)
    trace.eval_set_id = text_of(object_of(record.agent_ref).get("name"))
    trace.run = name_of(record.rollout_index)
    reward = finite_score(record.reward, f"{place.path}.reward")
    trace.metrics = [] if reward is None else [("reward", reward)]
    trace.dropped_kinds = {ODD_SCORES: 1} if reward is None and record.reward is not None else {}
    trace.model_id = text_of(response.model)
    tools, where = (request.tools, path) if request.tools else (response.tools, f"{place.path}.response")
    trace.tools = tool_schemas(tools, f"{where}.tools")
    if response.error is not None:
        trace.error = response.error if isinstance(response.error, str) else to_text(response.error, place.path)
    if object_of(response.incomplete_details).get("reason") == "max_output_tokens":
        trace.stop_reason = "length"
    return trace


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


def _hash(value: Json) -> str:
    """Return a name for the task of a request, where no index does."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:16]
