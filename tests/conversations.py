"""Conversations as the trace model has them, each spelling of them, and what plain Python makes of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from hypothesis import strategies as st

from tests.strategies import TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Json = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """A message of the system or the user."""

    role: str
    text: str


@dataclass(frozen=True)
class Call:
    call_id: str | None
    name: str
    arguments: Json


@dataclass(frozen=True)
class Turn:
    """A message of the assistant."""

    text: str
    thought: str = ""
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True)
class Result:
    """A message of a tool; without an id it answers the next call."""

    call_id: str | None
    text: str


Step: TypeAlias = Said | Turn | Result

NAMES = st.sampled_from(["look", "send", "ü"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(-1e9, 1e9) | TEXT,
    lambda values: st.lists(values, max_size=2) | st.dictionaries(TEXT, values, max_size=2),
    max_leaves=4,
)
ARGUMENTS = st.dictionaries(TEXT, VALUES, max_size=3)


@st.composite
def conversations(draw: st.DrawFn, *, with_ids: bool = True) -> list[Step]:
    """Draw steps in any order; results mostly answer a call that was made before."""
    steps: list[Step] = []
    made: list[str] = []
    for kind in draw(st.lists(st.sampled_from(["system", "user", "turn", "turn", "result", "result"]), max_size=12)):
        if kind == "turn":
            count = draw(st.integers(0, 3))
            ids = [f"call-{len(made) + number}" if with_ids else None for number in range(count)]
            made += [call_id for call_id in ids if call_id]
            calls = tuple(Call(call_id, draw(NAMES), draw(ARGUMENTS)) for call_id in ids)
            steps.append(Turn(draw(TEXT), draw(TEXT), calls))
        elif kind == "result":
            call_id = draw(st.sampled_from([*made[-3:], *made, "elsewhere"])) if with_ids else None
            steps.append(Result(call_id, draw(TEXT)))
        else:
            steps.append(Said(kind, draw(TEXT)))
    return steps


def openai(steps: Sequence[Step], *, flat: bool = False, as_text: bool = False) -> list[Json | str]:
    """Spell messages as OpenAI does; calls may be flat, and each may be JSON in a string."""
    messages: list[Any] = []
    for step in steps:
        match step:
            case Said():
                messages.append({"role": step.role, "content": step.text})
            case Result():
                named = {} if step.call_id is None else {"tool_call_id": step.call_id}
                messages.append({"role": "tool", "content": step.text, **named})
            case Turn():
                calls: list[Any] = [openai_call(call, flat=flat) for call in step.calls]
                message: Json = {"role": "assistant", "content": step.text or None}
                if step.thought:
                    message["reasoning_content"] = step.thought
                if calls:
                    message["tool_calls"] = [json.dumps(call) for call in calls] if as_text else calls
                messages.append(message)
    return messages


def openai_call(call: Call, *, flat: bool) -> Json:
    named = {} if call.call_id is None else {"id": call.call_id}
    if flat:
        return {**named, "name": call.name, "arguments": call.arguments}
    return {**named, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}


def anthropic(steps: Sequence[Step]) -> list[Json]:
    """Spell messages as Anthropic does: what a user and tools say one after the other is one message of blocks."""
    messages: list[Json] = []
    for step in steps:
        if isinstance(step, Turn):
            blocks: list[Json] = [{"type": "thinking", "thinking": step.thought, "signature": "s"}] * bool(step.thought)
            blocks += [{"type": "text", "text": step.text}] * bool(step.text)
            blocks += [
                {"type": "tool_use", "id": call.call_id, "name": call.name, "input": call.arguments}
                for call in step.calls
            ]
            messages.append({"role": "assistant", "content": blocks})
            continue
        if isinstance(step, Result):
            role, block = "user", {"type": "tool_result", "tool_use_id": step.call_id, "content": step.text}
        else:
            role, block = step.role, {"type": "text", "text": step.text}
        # Texts of one message are one text: two users' messages stay two.
        before = messages[-1]["content"] if messages and messages[-1]["role"] == role == "user" else None
        if before and {block["type"], before[-1]["type"]} != {"text"}:
            before.append(block)
        else:
            messages.append({"role": role, "content": [block]})
    return messages


def responses(steps: Sequence[Step]) -> list[Json]:
    """Spell messages as items of OpenAI's Responses."""
    items: list[Json] = []
    for step in steps:
        match step:
            case Said():
                role = "developer" if step.role == "system" else step.role
                items.append({"role": role, "content": [{"type": "input_text", "text": step.text}]})
            case Result():
                items.append({"type": "function_call_output", "call_id": step.call_id, "output": step.text})
            case Turn():
                if step.thought:
                    items.append({"type": "reasoning", "summary": [{"type": "summary_text", "text": step.thought}]})
                content = [{"type": "output_text", "text": step.text, "annotations": []}]
                items.append({"type": "message", "role": "assistant", "content": content})
                items += [
                    {
                        "type": "function_call",
                        "id": "item",
                        "call_id": call.call_id,
                        "name": call.name,
                        "arguments": json.dumps(call.arguments),
                    }
                    for call in step.calls
                ]
    return items


SPELLINGS: dict[str, Callable[[Sequence[Step]], list[Any]]] = {
    "openai": openai,
    "openai, flat": lambda steps: openai(steps, flat=True),
    "openai, calls as text": lambda steps: openai(steps, as_text=True),
    "anthropic": anthropic,
    "responses": responses,
}


def messages_of(steps: Sequence[Step]) -> tuple[list[Json], int]:
    """Return the messages of TRL's record, and the number of results that answer no call, by the rules of traces."""
    spoken: list[Json] = []  # turns hold their results
    orphans = 0
    late: list[tuple[Json, Json]] = []
    for step in steps:
        turns = [message for message in spoken if message["role"] == "assistant"]
        if isinstance(step, Said):
            spoken.append({"role": step.role, "content": step.text})
        elif isinstance(step, Turn):
            spoken.append({"role": "assistant", "step": step, "results": []})
        elif turns and step.call_id is None and not turns[-1]["step"].calls:
            spoken.append({"role": "user", "content": step.text})
        else:
            turn, call = _answered(turns, step)
            if turn is None or call is None:
                orphans += 1
            elif turn is turns[-1]:
                turn["results"].append(_result(step, call))
            else:
                late.append((turn, _result(step, call)))
    for turn, result in late:
        turn["results"].append(result)
    return _flat(spoken), orphans


def _result(step: Result, call: Call) -> Json:
    named = {} if step.call_id is None else {"tool_call_id": step.call_id}
    return {"role": "tool", "content": step.text, **named, "name": call.name}


def _answered(turns: list[Json], result: Result) -> tuple[Json | None, Call | None]:
    """Return the turn and the call that a result answers; None where it answers none."""
    if not turns:
        return None, None
    if result.call_id is None:
        turn = turns[-1]
        number = len(turn["results"])
        return turn, turn["step"].calls[number] if number < len(turn["step"].calls) else None
    for turn in reversed(turns):
        for call in turn["step"].calls:
            if call.call_id == result.call_id:
                return turn, call
    return None, None


def _flat(spoken: list[Json]) -> list[Json]:
    messages: list[Json] = []
    for message in spoken:
        if message["role"] != "assistant":
            messages.append(message)
            continue
        step = message["step"]
        record: Json = {"role": "assistant", "content": step.text}
        if step.thought:
            record["reasoning_content"] = step.thought
        if step.calls:
            record["tool_calls"] = [_call(call) for call in step.calls]
        messages += [record, *message["results"]]
    while messages and messages[-1]["role"] != "assistant":
        messages.pop()
    return [message for message in messages if message["role"] != "system" or message["content"]]


def _call(call: Call) -> Json:
    return {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
