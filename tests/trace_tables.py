"""Traces as the two tables hold them, drawn at random, and the conversations that plain Python makes of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl
from hypothesis import strategies as st

import polars_export as pe
from polars_export.formats import record_format
from polars_export.tables.projection import Projection
from polars_export.tables.schema import TRACES, TURNS, polars_schema
from polars_export.tables.tables import Tables
from polars_export.writers.jsonlines import encode

if TYPE_CHECKING:
    from polars_export.formats.rendered import Rendered

Json = dict[str, Any]

TEXT = st.sampled_from(["", "a", "b", "c", "d", 'e "\n'])
THOUGHT = st.sampled_from([None, None, "hm", ""])


@dataclass(frozen=True)
class Said:
    """A message of the system or a user."""

    role: str
    content: str
    name: str | None = None


@dataclass(frozen=True)
class Call:
    call_id: str
    name: str
    arguments: Json


@dataclass(frozen=True)
class Turn:
    """A message of the assistant; `results` are the texts for its calls, each with the number of the call."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    results: tuple[tuple[int, str], ...] = ()
    preceding: tuple[Said, ...] = ()
    thought: str | None = None
    context: bool = False


@dataclass(frozen=True)
class Trace:
    turns: tuple[Turn, ...]
    closing: tuple[Said, ...] = ()
    final: str | None = None


def user(text: str = "Hello?") -> Said:
    return Said("user", text)


def system(text: str = "Be kind.") -> Said:
    return Said("system", text)


SAID = st.builds(Said, st.sampled_from(["user"] * 5 + ["system"]), TEXT, st.sampled_from([None, None, "mia"]))
OTHERS = st.just(()) | st.lists(SAID, max_size=2).map(tuple)


@st.composite
def turns(draw: st.DrawFn, *, answered: bool = False) -> Turn:
    count = draw(st.sampled_from([0, 0, 1, 2]))
    names = st.sampled_from(["look", "send"])
    arguments = st.dictionaries(st.sampled_from("xy"), st.sampled_from([1, "ü", None]), max_size=2)
    calls = tuple(Call(f"call-{number}", draw(names), draw(arguments)) for number in range(count))
    numbers = list(range(count))
    if count and not answered:
        numbers = draw(st.lists(st.integers(0, count - 1), max_size=3))
    results = tuple((number, draw(TEXT)) for number in numbers)
    return Turn(draw(TEXT), calls, results, draw(OTHERS), draw(THOUGHT), draw(st.sampled_from([False, False, True])))


@st.composite
def traces(draw: st.DrawFn, head: tuple[Turn, ...] = (), *, answered: bool = False) -> Trace:
    """Draw a trace that begins with some turns; it has a message of the assistant."""
    more = tuple(draw(st.lists(turns(answered=answered), max_size=3)))
    final = draw(TEXT) if draw(st.booleans()) else None
    return Trace(head + more, draw(OTHERS), final if head + more else final or "end")


@st.composite
def pairs(draw: st.DrawFn) -> list[Trace]:
    """Draw the two sides of a pair; mostly they begin alike, but for the ids of calls."""
    answered = draw(st.sampled_from([True, True, False]))
    begin = Turn(preceding=(system("s"), user("q")), text="first")
    head = tuple(draw(st.lists(st.just(begin) | turns(answered=answered), max_size=3)))
    other = tuple(
        replace(turn, calls=tuple(replace(call, call_id=f"other-{call.call_id}") for call in turn.calls))
        for turn in head
    )
    return [draw(traces(head, answered=answered)), draw(traces(other, answered=answered))]


def tables_of(given: list[Trace]) -> Tables:
    """Return the tables of some traces, which are runs of one case; their scores fall."""
    rows = [
        {
            "trace": number,
            "case_id": "a",
            "score": float(-number),
            "verdict": "pass",
            "final_response": trace.final,
            "turns": len(trace.turns),
            "closing": [vars(message) for message in trace.closing],
        }
        for number, trace in enumerate(given)
    ]
    turn_rows = [_turn_row(number, turn) for number, trace in enumerate(given) for turn in trace.turns]
    level = Projection.CONVERSATIONS
    return Tables(
        pl.DataFrame(rows, schema=polars_schema(TRACES, level)),
        pl.DataFrame(turn_rows, schema=polars_schema(TURNS, level)),
    )


def _turn_row(trace: int, turn: Turn) -> Json:
    counts = ("orphan_results", "moved_results", "image_blocks", "extension_blocks", "unknown_blocks")
    return {
        "trace": trace,
        "context": turn.context,
        "preceding": [vars(message) for message in turn.preceding],
        "text": turn.text,
        "reasoning": turn.thought,
        "thinking_blocks": int(turn.thought is not None),
        "tool_calls": [
            {"id": call.call_id, "name": call.name, "arguments": json.dumps(call.arguments)} for call in turn.calls
        ],
        "tool_results": [
            {"tool_call_id": turn.calls[number].call_id, "name": turn.calls[number].name, "text": text}
            for number, text in turn.results
        ],
        "tool_result_count": len(turn.results),
        **dict.fromkeys(counts, 0),
    }


def conversation(trace: Trace, reasoning: str = "field") -> list[Json]:
    """Build the conversation of a trace by the rules; every message tells whether it is `context`."""
    spoken: list[Json] = []
    final, last = trace.final or "", len(trace.turns) - 1
    for number, turn in enumerate(trace.turns):
        spoken += _others(turn.preceding)
        text = final if number == last and not turn.text and not turn.results else turn.text
        message: Json = {"role": "assistant", "content": text, "context": turn.context}
        if turn.thought is not None and reasoning == "think":
            message["content"] = f"<think>{turn.thought}</think>{text}"
        if turn.thought is not None and reasoning == "field":
            message["reasoning_content"] = turn.thought
        if turn.calls:
            message["tool_calls"] = [_call(call) for call in turn.calls]
        spoken.append(message)
        spoken += [_result(turn.calls[place], text) for place, text in turn.results]
    if final and (not trace.turns or trace.turns[-1].results):
        spoken += [*_others(trace.closing), {"role": "assistant", "content": final, "context": False}]
    while spoken and spoken[-1]["role"] != "assistant":
        spoken.pop()
    return spoken


def _others(messages: tuple[Said, ...]) -> list[Json]:
    return [
        {"role": said.role, "content": said.content, "context": False} | ({"name": said.name} if said.name else {})
        for said in messages
        if said.role == "user" or said.content
    ]


def _call(call: Call) -> Json:
    return {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _result(call: Call, text: str) -> Json:
    return {"role": "tool", "content": text, "tool_call_id": call.call_id, "name": call.name, "context": False}


def openai_conversation(trace: Trace) -> list[Json]:
    spoken = conversation(trace, "drop")
    for message in spoken:
        message.pop("name", None)
        if "tool_calls" in message and not message["content"]:
            del message["content"]
        for call in message.get("tool_calls", []):
            call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
    return spoken


def llamafactory_conversation(trace: Trace) -> list[Json]:
    spoken = conversation(trace, "think")
    for message in spoken:
        message.pop("name", None)
        if "tool_calls" in message:
            message["content"] = ""  # which is not written
    return spoken


def rendered(given: list[Trace], name: str, **options: Any) -> tuple[list[Json], Rendered]:  # noqa: ANN401 - options
    """Return the records of some traces as their JSON lines load, and the account of them."""
    settings: dict[str, Any] = {"missing_prompt": "keep", "include_metadata": False} | options
    asked = pe.ExportOptions(name, **settings)
    format_ = record_format(asked)
    made = format_.render(tables_of(given), asked)
    schema = format_.schema(asked)
    assert made.records.cast(schema).num_rows == len(made.rows)
    return [json.loads(line) for line in encode(made.records, schema, format_.ABSENT).split(b"\n")[:-1]], made
