"""The end of a run of SWE-agent: the step that its history lacks, and what the harness says in the agent's place."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from polars_export.messages.values import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polars_export.json_values import Json

    Item = dict[str, Json]

__all__ = ["said_by_harness", "steps_behind"]

_EXITS = ("exit due to ", "exiting due to ")


class _Step(Struct, gc=False):
    response: Any = None
    action: Any = None
    thought: Any = None


def said_by_harness(item: Item) -> bool:
    """Return whether an assistant's item is what the harness says of a run that it ends, and no answer of a model.

    That is a sentence that stands as the thought too. Up to version 0.7 its action is the exit (`exit_cost`), later
    there is none. An answer that could not be parsed (`exit_format`) has a thought of the harness, but is the model's.
    """
    if item.get("role") != "assistant" or item.get("tool_calls") or item.get("is_demo"):
        return False
    content, thought, action = (text_of(item.get(field)) or "" for field in ("content", "thought", "action"))
    is_exit = not action or action.startswith("exit_")
    return is_exit and content.lower().startswith(_EXITS) and content.lower() == thought.lower()


def steps_behind(items: Sequence[Item], trajectory: Raw) -> tuple[Item | None, int]:
    """Return the last step of the trajectory as an item, where the history ends before it, and how many more it lacks.

    More steps than answers in the history are no sign of that: an answer that could not be parsed is a step too, and
    never stands in the history.
    """
    steps: list[Raw] = []
    with suppress(msgspec.MsgspecError):
        steps = msgspec.json.decode(trajectory, type=list[Raw] | None) or []
    spoken = [item for item in items if item.get("role") == "assistant" and not item.get("is_demo")]
    lacking = len(steps) - len(spoken)
    if lacking <= 0:
        return None, 0
    try:
        step = msgspec.json.decode(steps[-1], type=_Step)
    except msgspec.MsgspecError:
        return None, lacking
    response = text_of(step.response)
    if response is None or (spoken and _is_step(spoken[-1], step)):
        return None, lacking
    item: Item = {"role": "assistant", "content": response, "action": step.action, "thought": step.thought}
    return (None, lacking) if said_by_harness(item) else (item, lacking - 1)


def _is_step(item: Item, step: _Step) -> bool:
    """Return whether an item is what the agent says at a step."""
    return bool(item.get("content") == step.response and item.get("action", step.action) == step.action)
