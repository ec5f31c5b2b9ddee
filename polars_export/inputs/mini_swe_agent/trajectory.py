"""A trajectory of mini-swe-agent as a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from polars_export.inputs.side_files import json_beside, resolved_in, stem_of
from polars_export.json_values import describe_value
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.json_text import decode_arguments
from polars_export.messages.normalise import normalise
from polars_export.messages.records import Trace
from polars_export.messages.values import object_of, text_of

if TYPE_CHECKING:
    from polars_export.inputs.record_decoder import RecordPlace
    from polars_export.json_values import Json

__all__ = ["Trajectory", "understand"]


class Trajectory(Struct, gc=False):
    """What is needed of a trajectory."""

    messages: Any
    info: Any = None
    instance_id: Any = None


def understand(record: Trajectory, place: RecordPlace) -> Trace:
    """Return the trace of a trajectory; the note with which a run ends is counted.

    Raises:
        InvalidRecordError: The messages are none.
    """
    path = f"{place.path}.messages"
    if not isinstance(record.messages, list):
        raise InvalidRecordError(path, "an array of messages", describe_value(record.messages))
    items: list[Json] = []
    notes = 0
    for number, item in enumerate(record.messages):
        if not isinstance(item, dict):
            raise InvalidRecordError(f"{path}[{number}]", "an object", describe_value(item))
        if item.get("role") == "exit":
            notes += 1
        elif item.get("object") == "response" and isinstance(item.get("output"), list):
            items += item["output"]  # what a model of OpenAI's Responses answered
        else:
            items.append({key: value for key, value in item.items() if key != "extra"})
    messages, dropped = normalise(items, path)
    decode_arguments(messages, path)
    info = object_of(record.info)
    name = text_of(record.instance_id) or text_of(info.get("instance_id"))
    case = name or stem_of(place.source, ".traj.json", ".json") or place.name
    trace = Trace(case, messages, dropped=dropped)
    trace.model_id = text_of(object_of(object_of(info.get("config")).get("model")).get("model_name"))
    trace.dropped_kinds = {"notes at the end of a run": notes} if notes else {}
    status = text_of(info.get("exit_status"))
    trace.error = status if status and status.lower() != "submitted" else None
    resolved = resolved_in(json_beside(place.source, "report.json"), case) if place.source != "-" else None
    if resolved is not None:
        trace.verdict = "pass" if resolved else "fail"
        trace.metrics = [("resolved", float(resolved))]
    return trace
