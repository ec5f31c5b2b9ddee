"""A trajectory of mini-swe-agent as a trace."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Raw, Struct
from msgspec.structs import asdict

from polars_export.inputs.side_files import resolved_beside, set_verdict, stem_of
from polars_export.messages.json_text import decode_arguments
from polars_export.messages.normalise import normalise_items
from polars_export.messages.records import Trace
from polars_export.messages.values import name_of, object_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polars_export.inputs.record_decoder import RecordPlace
    from polars_export.json_values import Json

__all__ = ["Trajectory", "understand"]

_OUT_OF_BUDGET = {"LimitsExceeded", "TimeExceeded"}


class _Extra(Struct, gc=False):
    """What is needed of the notes at a message: not the response of the model as it came, nearly all of a file."""

    interrupt_type: Any = None
    response: Raw = Raw(b"null")


class _Entry(Struct, gc=False):
    """What is needed of a message: of OpenAI's Chat Completions, an item of Responses, or a whole response of them."""

    role: Any = UNSET
    content: Any = UNSET
    tool_calls: Any = UNSET
    tool_call_id: Any = UNSET
    reasoning_content: Any = UNSET
    reasoning: Any = UNSET
    thinking: Any = UNSET
    function_call: Any = UNSET
    refusal: Any = UNSET
    name: Any = UNSET
    is_error: Any = UNSET
    type: Any = UNSET
    call_id: Any = UNSET
    id: Any = UNSET
    arguments: Any = UNSET
    input: Any = UNSET
    summary: Any = UNSET
    encrypted_content: Any = UNSET
    object: Any = UNSET
    output: Any = UNSET
    extra: _Extra | None = None


class _Info(Struct, gc=False):
    exit_status: Any = None
    instance_id: Any = None
    config: Any = None


class Trajectory(Struct, gc=False):
    """What is needed of a trajectory."""

    messages: list[_Entry]
    info: _Info | None = None
    instance_id: Any = None


def understand(record: Trajectory, place: RecordPlace) -> Trace:
    """Return the trace of a trajectory; the note with which a run ends is counted.

    Raises:
        InvalidRecordError: The messages are none.
    """
    dropped_kinds: Counter[str] = Counter()
    messages, dropped = normalise_items(_items(record.messages, f"{place.path}.messages", dropped_kinds))
    decode_arguments(messages, place.path)
    info = record.info or _Info()
    name = name_of(record.instance_id) or name_of(info.instance_id)
    case = name or stem_of(place.source, ".traj.json", ".json") or place.name
    trace = Trace(case, messages, dropped=dropped, dropped_kinds=dropped_kinds)
    trace.model_id = text_of(object_of(object_of(info.config).get("model")).get("model_name"))
    _set_end(trace, text_of(info.exit_status))
    set_verdict(trace, resolved_beside(place.source, case))
    return trace


def _set_end(trace: Trace, status: str | None) -> None:
    if status is None:
        return
    is_done = status.lower() == "submitted"
    trace.error = None if is_done else status
    trace.stop_reason = "stop" if is_done else "length" if status in _OUT_OF_BUDGET else "error"


def _items(entries: list[_Entry], path: str, dropped_kinds: Counter[str]) -> Iterator[tuple[Json, str]]:
    """Yield the messages and items with their JSON paths; a response of OpenAI's Responses has several."""
    for number, entry in enumerate(entries):
        at = f"{path}[{number}]"
        if entry.extra and entry.extra.interrupt_type == "FormatError" and bytes(entry.extra.response) != b"null":
            dropped_kinds["answers that could not be parsed"] += 1
        if entry.role == "exit":
            dropped_kinds["notes at the end of a run"] += 1
        elif entry.object == "response" and isinstance(entry.output, list):
            yield from ((item, f"{at}.output[{place}]") for place, item in enumerate(entry.output))
        else:
            yield {key: value for key, value in asdict(entry).items() if value is not UNSET and key != "extra"}, at
