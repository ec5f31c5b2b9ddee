"""A trajectory of SWE-agent as a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from polars_export.inputs.side_files import json_beside, resolved_in, stem_of
from polars_export.json_values import describe_value, parse
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.json_text import decode_arguments, from_text
from polars_export.messages.normalise import normalise
from polars_export.messages.records import Trace
from polars_export.messages.values import object_of, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polars_export.inputs.record_decoder import RecordPlace
    from polars_export.json_values import Json
    from polars_export.messages.records import Message

__all__ = ["Trajectory", "understand"]


class Trajectory(Struct, gc=False):
    """What is needed of a trajectory; `trajectory`, which repeats the history, is decoded only for its last step."""

    history: Any
    trajectory: Raw = Raw(b"null")
    info: Any = None
    replay_config: Any = None


def understand(record: Trajectory, place: RecordPlace) -> Trace:
    """Return the trace of a trajectory.

    The items of the agent that speaks first are its messages; those of other agents, which a run of several agents has
    in its history, are counted. A demonstration is context.

    Raises:
        InvalidRecordError: The history is none.
    """
    path = f"{place.path}.history"
    if not isinstance(record.history, list):
        raise InvalidRecordError(path, "an array of messages", describe_value(record.history))
    items, others = _of_main_agent(record.history)
    items += _last_step(record, items)
    messages, dropped = normalise([_as_message(item, f"{path}[{place_}]") for place_, item in items], path)
    decode_arguments(messages, path)
    config = object_of(from_text(record.replay_config))
    info = object_of(record.info)
    case = _instance_of(config) or stem_of(place.source, ".traj") or place.name
    trace = Trace(case, messages, dropped=dropped)
    trace.context = _demonstrated(items, messages)
    trace.model_id = text_of(object_of(object_of(config.get("agent")).get("model")).get("name"))
    trace.dropped_kinds = {"messages of other agents": others} if others else {}
    status = text_of(info.get("exit_status"))
    trace.error = status if status and not status.startswith("submitted") else None
    resolved = resolved_in(json_beside(place.source, "report.json"), case) if place.source != "-" else None
    if resolved is not None:
        trace.verdict = "pass" if resolved else "fail"
        trace.metrics = [("resolved", float(resolved))]
    return trace


def _of_main_agent(history: list[Json]) -> tuple[list[tuple[int, Json]], int]:
    """Return the items of the first agent, with their places, and the number of the others."""
    named = (item["agent"] for item in history if isinstance(item, dict) and isinstance(item.get("agent"), str))
    main = next(named, None)
    items = [
        (number, item)
        for number, item in enumerate(history)
        if not isinstance(item, dict) or item.get("agent", main) == main
    ]
    return items, len(history) - len(items)


def _last_step(record: Trajectory, items: list[tuple[int, Json]]) -> list[tuple[int, Json]]:
    """Return the last step of the trajectory as items, where the history ends before it."""
    raw = bytes(record.trajectory)
    if raw == b"null":
        return []
    try:
        steps = msgspec.json.decode(raw, type=list[Raw])
    except msgspec.MsgspecError:
        return []
    spoken = sum(
        isinstance(item, dict) and item.get("role") == "assistant" and not item.get("is_demo") for _, item in items
    )
    step = parse(bytes(steps[-1])) if steps and len(steps) == spoken + 1 else None
    if not isinstance(step, dict) or not isinstance(step.get("response"), str):
        return []
    said = {"role": "assistant", "content": step["response"], "tool_calls": step.get("tool_calls")}
    return [(len(items), said)]


def _as_message(item: Json, path: str) -> Json:
    """Return an item with the fields that messages have elsewhere."""
    if not isinstance(item, dict):
        raise InvalidRecordError(path, "an object", describe_value(item))
    message = {key: item[key] for key in ("role", "content", "tool_calls", "reasoning_content", "name") if key in item}
    ids = item.get("tool_call_ids")
    if isinstance(ids, list) and ids:
        message["tool_call_id"] = ids[0]
    thoughts = item.get("thinking_blocks")
    if isinstance(thoughts, list) and "reasoning_content" not in message:
        texts = [block.get("thinking") for block in thoughts if isinstance(block, dict)]
        message["reasoning_content"] = "".join(text for text in texts if isinstance(text, str))
    return message


def _demonstrated(items: list[tuple[int, Json]], messages: Sequence[Message]) -> set[int]:
    """Return which of the assistant's messages are demonstrations: each is of one item."""
    marks = [bool(item.get("is_demo")) for _, item in items if item.get("role") == "assistant"]
    spoken = [place for place, message in enumerate(messages) if message.role == "assistant"]
    return {place for place, is_demo in zip(spoken, marks, strict=True) if is_demo}


def _instance_of(config: dict[str, Json]) -> str | None:
    problem = object_of(config.get("problem_statement"))
    return text_of(problem.get("id")) or text_of(config.get("instance_id"))
