"""An instance of OpenHands as a trace."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from polars_export.inputs.openhands.events import Event, Events  # noqa: TC001 - msgspec looks at it when it decodes
from polars_export.inputs.openhands.reports import resolved_beside_output
from polars_export.inputs.side_files import resolved_in, set_verdict
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.json_text import decode_arguments
from polars_export.messages.normalise import normalise_items
from polars_export.messages.records import Trace
from polars_export.messages.tool_schemas import tool_schemas
from polars_export.messages.values import name_of, object_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polars_export.inputs.record_decoder import RecordPlace

__all__ = ["Instance", "understand"]

_OUT_OF_BUDGET = ("maximum iteration", "maximum budget")


class _Result(Struct, gc=False):
    """What is needed of the result of the tests: not their output."""

    report: Any = None
    resolved: Any = None


class Instance(Struct, gc=False):
    """What is needed of an instance; older versions wrote pairs of an action and an observation."""

    history: list[Event | list[Event]] | None
    instance_id: Any = None
    metadata: Any = None
    error: Any = None
    report: Any = None
    test_result: Raw = Raw(b"null")


def understand(record: Instance, place: RecordPlace) -> Trace:
    """Return the trace of an instance. One that crashed before its first event has no messages.

    Raises:
        InvalidRecordError: The history is none.
    """
    path = f"{place.path}.history"
    error = text_of(record.error)
    if record.history is None and error is None:
        raise InvalidRecordError(path, "an array of events, or `error`", "null")
    events = Events()
    for event, at in _flat(record.history or [], path):
        events.add(event, at)
    messages, dropped = normalise_items(events.messages)
    decode_arguments(messages, path)
    case = name_of(record.instance_id) or place.name
    trace = Trace(case, messages, dropped=dropped, dropped_kinds=events.dropped, error=error)
    model = text_of(object_of(object_of(record.metadata).get("llm_config")).get("model"))
    trace.model_id = model or events.model
    trace.tools = tool_schemas(events.tools, events.tools_path)
    if error:
        trace.stop_reason = "length" if any(limit in error for limit in _OUT_OF_BUDGET) else "error"
    elif events.has_finished:
        trace.stop_reason = "stop"
    set_verdict(trace, _resolved(record, place.source, case))
    return trace


def _flat(history: list[Event | list[Event]], path: str) -> Iterator[tuple[Event, str]]:
    for number, entry in enumerate(history):
        if isinstance(entry, list):
            yield from ((event, f"{path}[{number}][{place}]") for place, event in enumerate(entry))
        else:
            yield entry, f"{path}[{number}]"


def _resolved(record: Instance, source: str, case: str) -> bool | None:
    result = _Result()
    with suppress(msgspec.MsgspecError):
        result = msgspec.json.decode(record.test_result, type=_Result)
    for report in (record.report, result.report, {"resolved": result.resolved}):
        if (resolved := resolved_in(report, case)) is not None:
            return resolved
    return resolved_beside_output(source, case)
