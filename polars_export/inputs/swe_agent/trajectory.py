"""A trajectory of SWE-agent as a trace."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

from polars_export.inputs.side_files import resolved_beside, set_verdict, stem_of
from polars_export.inputs.swe_agent.last_step import said_by_harness, steps_behind
from polars_export.json_values import describe_value
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.json_text import decode_arguments, from_text
from polars_export.messages.normalise import normalise_items
from polars_export.messages.records import Trace
from polars_export.messages.values import object_of, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polars_export.inputs.record_decoder import RecordPlace
    from polars_export.inputs.swe_agent.last_step import Item
    from polars_export.json_values import Json
    from polars_export.messages.records import Message

__all__ = ["Trajectory", "understand"]

_ROLES = ("system", "user", "assistant", "tool")
_FIELDS = ("role", "content", "tool_calls", "reasoning_content", "name")
_OUT_OF_BUDGET = ("exit_cost", "exit_context", "exit_total_execution_time")


class Trajectory(Struct, gc=False):
    """What is needed of a trajectory; `trajectory`, which repeats the history, is decoded only for its last step."""

    history: Any
    trajectory: Raw = Raw(b"null")
    attempts: Raw = Raw(b"null")
    info: Any = None
    replay_config: Any = None


class _Selected(NamedTuple):
    """The items of the history that are messages of the agent's conversation, with their JSON paths."""

    items: list[tuple[Item, str]]
    dropped_kinds: Counter[str]


def understand(record: Trajectory, place: RecordPlace) -> Trace:
    """Return the trace of a trajectory.

    The items of the agent that speaks first are its messages; those of other agents, which a run of several agents has
    in its history, are counted. So is what the harness says in the agent's place when it ends a run. A demonstration
    is context.

    Raises:
        InvalidRecordError: The history is none.
    """
    items, dropped_kinds = _select(record, f"{place.path}.history")
    messages, dropped = normalise_items((_as_message(item, path), path) for item, path in items)
    decode_arguments(messages, place.path)
    config = object_of(from_text(record.replay_config))
    case = _instance_of(config) or stem_of(place.source, ".traj") or place.name
    trace = Trace(case, messages, dropped=dropped, dropped_kinds=dropped_kinds)
    trace.context = _demonstrated([item for item, _ in items], messages)
    trace.model_id = text_of(object_of(object_of(config.get("agent")).get("model")).get("name"))
    _set_end(trace, text_of(object_of(record.info).get("exit_status")))
    set_verdict(trace, resolved_beside(place.source, case))
    return trace


def _set_end(trace: Trace, status: str | None) -> None:
    """Say why a run ended; one that the harness cut off may be submitted nevertheless: `submitted (exit_cost)`."""
    if status is None:
        return
    is_done = status == "submitted"
    trace.error = None if is_done else status
    trace.stop_reason = "stop" if is_done else "length" if any(exit_ in status for exit_ in _OUT_OF_BUDGET) else "error"


def _select(record: Trajectory, path: str) -> _Selected:
    history = _checked(record.history, path)
    selected = _Selected([], Counter())
    marked = _mark_demonstrations(history)
    main = _main_agent(marked)
    own: list[Item] = []
    for number, item in enumerate(marked):
        is_own = (text_of(item.get("agent")) or main) == main
        if not is_own and not item.get("is_demo"):
            selected.dropped_kinds["messages of other agents"] += 1
            continue
        own.append(item)
        if said_by_harness(item):
            selected.dropped_kinds["messages of the harness"] += 1
        else:
            selected.items.append((item, f"{path}[{number}]"))
    step, lacking = steps_behind(own, record.trajectory)
    if step:
        selected.items.append((step, f"{path}[{len(history)}]"))
        if any(item.get("tool_calls") for item in own):
            selected.dropped_kinds["calls known by their commands alone"] += 1
    if lacking:
        selected.dropped_kinds["steps that the history lacks"] += lacking
    if (attempts := _number_of(record.attempts)) > 1:
        selected.dropped_kinds["attempts that were not chosen"] += attempts - 1
    return selected


def _main_agent(marked: list[Item]) -> str | None:
    """Return the first name of an agent up to the first answer that is no demonstration; None if none is named."""
    for item in marked:
        if item.get("is_demo"):
            continue
        if (agent := text_of(item.get("agent"))) or item.get("role") == "assistant":
            return agent
    return None


def _checked(history: Json, path: str) -> list[Item]:
    """Return the items of a history.

    Raises:
        InvalidRecordError: They are no messages.
    """
    if not isinstance(history, list):
        raise InvalidRecordError(path, "an array of messages", describe_value(history))
    for number, item in enumerate(history):
        if not isinstance(item, dict):
            raise InvalidRecordError(f"{path}[{number}]", "an object", describe_value(item))
        if item.get("role") not in _ROLES:
            found = describe_value(item["role"]) if "role" in item else "no such field"
            raise InvalidRecordError(f"{path}[{number}].role", f"one of {', '.join(_ROLES)}", found)
    return history


def _mark_demonstrations(history: list[Item]) -> list[Item]:
    """Return the items with those of demonstrations marked, and no others.

    Older demonstrations are not marked. They name the agent that recorded them (`primary`), and stand between the
    system prompt and the first message of the agent whose run it is.
    """
    opener = next((place for place, item in enumerate(history) if item.get("role") == "system"), -1)
    main = text_of(history[opener].get("agent")) if opener >= 0 else None
    first = next(
        (
            place
            for place, item in enumerate(history)
            if place != opener and item.get("is_demo") is not True and (text_of(item.get("agent")) or main) == main
        ),
        0,
    )
    is_unmarked = range(opener + 1, first) if main else range(0)
    return [
        {**item, "is_demo": item.get("is_demo") is True or place in is_unmarked} for place, item in enumerate(history)
    ]


def _number_of(attempts: Raw) -> int:
    with suppress(msgspec.MsgspecError):
        return len(msgspec.json.decode(attempts, type=list[Raw]))
    return 0


def _as_message(item: Item, path: str) -> Json:
    """Return an item with the fields that messages have elsewhere."""
    message = {key: item[key] for key in _FIELDS if key in item}
    ids = item.get("tool_call_ids")
    if isinstance(ids, list) and ids:
        if not isinstance(ids[0], str | None):
            raise InvalidRecordError(f"{path}.tool_call_ids[0]", "a string or null", describe_value(ids[0]))
        message["tool_call_id"] = ids[0]
    thoughts = item.get("thinking_blocks")
    if isinstance(thoughts, list) and "reasoning_content" not in message:
        texts = [block.get("thinking") for block in thoughts if isinstance(block, dict)]
        message["reasoning_content"] = "".join(text for text in texts if isinstance(text, str))
    return message


def _demonstrated(items: Sequence[Item], messages: Sequence[Message]) -> set[int]:
    """Return which of the assistant's messages are demonstrations: each is of one item."""
    marks = [bool(item.get("is_demo")) for item in items if item.get("role") == "assistant"]
    spoken = [place for place, message in enumerate(messages) if message.role == "assistant"]
    return {place for place, is_demo in zip(spoken, marks, strict=True) if is_demo}


def _instance_of(config: dict[str, Json]) -> str | None:
    problem = object_of(config.get("problem_statement"))
    return text_of(problem.get("id")) or text_of(config.get("instance_id"))
