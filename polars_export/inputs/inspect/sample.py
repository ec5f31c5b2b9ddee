"""A sample of an Inspect log as a trace."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from msgspec import Raw, Struct

from polars_export.inputs.inspect.attachments import attached
from polars_export.inputs.inspect.scores import metrics_of_scores
from polars_export.inputs.inspect.tools import tools_of
from polars_export.inputs.record_decoder import parse_lenient
from polars_export.inputs.side_files import stem_of
from polars_export.json_values import describe_value
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.normalise import normalise
from polars_export.messages.records import Trace
from polars_export.messages.scores import ODD_SCORES
from polars_export.messages.values import name_of, object_of, text_of

if TYPE_CHECKING:
    from polars_export.inputs.record_decoder import RecordPlace
    from polars_export.json_values import Json

__all__ = ["KEYS", "Sample", "understand"]

_CRASHED = {"error", "cancelled"}


class Sample(Struct, gc=False):
    """What is needed of a sample; events, nearly all of a log, are looked through for the tools alone."""

    id: Any = None
    epoch: Any = None
    messages: Any = None
    scores: Any = None
    error: Any = None
    attachments: Any = None
    events: Raw = Raw(b"null")


KEYS = frozenset(Sample.__struct_fields__)
"""The keys of a sample that are needed."""


def understand(record: Sample, place: RecordPlace, *, with_tools: bool) -> Trace:
    """Return the trace of a sample.

    Raises:
        InvalidRecordError: Something in it is not what it should be.
    """
    path = f"{place.path}.messages"
    if not isinstance(record.messages, list):
        raise InvalidRecordError(path, "an array of messages", describe_value(record.messages))
    attachments = object_of(record.attachments)
    dropped_kinds: Counter[str] = Counter()
    items = [
        _as_message(item, f"{path}[{number}]", attachments, dropped_kinds)
        for number, item in enumerate(record.messages)
    ]
    messages, dropped = normalise(items, path)
    header = _parsed(place.header, place.path) if place.header else {}
    evaluation = object_of(header.get("eval"))
    trace = Trace(name_of(record.id) or place.name, messages, dropped=dropped)
    trace.eval_set_id = text_of(evaluation.get("task"))
    log = text_of(evaluation.get("eval_id")) or stem_of(place.source, ".eval", ".json") or ""
    trace.run = f"{log}/{name_of(record.epoch) or 1}"
    trace.metrics, odd = metrics_of_scores(record.scores, f"{place.path}.scores")
    if odd:
        dropped_kinds[ODD_SCORES] += odd
    trace.model_id = text_of(evaluation.get("model"))
    trace.context = {
        number
        for number, item in enumerate(record.messages)
        if item.get("role") == "assistant" and item.get("source") == "input"
    }
    if with_tools:
        trace.tools = tools_of(bytes(record.events), attachments, f"{place.path}.events")
    status = text_of(header.get("status"))
    crashed = f"the log's status is {status}" if status in _CRASHED and not record.scores else None
    trace.error = text_of(object_of(record.error).get("message")) or crashed
    trace.dropped_kinds = dict(dropped_kinds)
    return trace


@lru_cache(maxsize=4)
def _parsed(header: str, path: str) -> dict[str, Json]:
    """Return the header of a log, whose results may hold NaN.

    Raises:
        InvalidRecordError: It is no JSON.
    """
    return object_of(parse_lenient(header.encode(), f"{path} (header)"))


def _as_message(item: Json, path: str, attachments: dict[str, Json], dropped_kinds: Counter[str]) -> Json:
    """Return a message as OpenAI spells it."""
    if not isinstance(item, dict):
        raise InvalidRecordError(path, "an object", describe_value(item))
    message = {"role": item.get("role"), "content": _content(item.get("content"), attachments, dropped_kinds)}
    calls = item.get("tool_calls")
    if isinstance(calls, list):
        message["tool_calls"] = [_call(call) for call in calls]
    if item.get("role") == "tool":
        message["tool_call_id"] = item.get("tool_call_id")
        message["is_error"] = item.get("error") is not None
        error = text_of(object_of(item.get("error")).get("message"))
        message["content"] = message["content"] or error or ""
    return message


def _call(call: Json) -> Json:
    if not isinstance(call, dict) or not isinstance(call.get("function"), str):
        return call
    return {"id": call.get("id"), "name": call["function"], "arguments": call.get("arguments", {})}


def _content(content: Json, attachments: dict[str, Json], dropped_kinds: Counter[str]) -> Json:
    """Return a content with attached texts in their places, and reasoning as other recorders spell it."""
    if isinstance(content, str):
        return attached(content, attachments)
    if not isinstance(content, list):
        return content
    parts: list[Json] = []
    for part in content:
        if not isinstance(part, dict):
            parts.append(part)
        elif part.get("type") == "reasoning":
            if part.get("redacted"):
                dropped_kinds["redacted reasoning"] += 1
            else:
                parts.append({"type": "thinking", "thinking": part.get("reasoning")})
        elif isinstance(part.get("text"), str):
            parts.append(part | {"text": attached(part["text"], attachments)})
        else:
            parts.append(part)
    return parts
