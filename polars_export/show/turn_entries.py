"""Entries of one message of an agent, with its calls and their results: the same for traces and for records."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from polars_export.show.calls import call_text
from polars_export.show.transcript import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Call", "Calls", "assistant_entries", "labelled"]


class Call(NamedTuple):
    """A tool call; `arguments` are JSON."""

    id: str | None
    name: str
    arguments: str


class Calls:
    """The calls of one message: where it has several, they and their results are numbered."""

    def __init__(self, calls: Sequence[Call] = ()) -> None:
        self._calls = calls
        self._numbers = {call.id: number for number, call in reversed(list(enumerate(calls, 1))) if call.id}

    def entries(self) -> list[Entry]:
        """Return an entry for each call."""
        several = len(self._calls) > 1
        return [
            Entry(Kind.CALL, f"call {number}" if several else "call", call_text(call.name, call.arguments))
            for number, call in enumerate(self._calls, 1)
        ]

    def result(self, call_id: str | None, text: str, *, is_error: bool = False) -> Entry:
        """Return the entry of a result, which says which of several calls it answers."""
        number = self._numbers.get(call_id or "")
        label = f"result {number}" if number and len(self._calls) > 1 else "result"
        return Entry(Kind.RESULT, labelled(label, "error" if is_error else None), text)


def labelled(label: str, *more: str | None) -> str:
    """Return a label with what is known beside it, in brackets."""
    known = ", ".join(each for each in more if each)
    return f"{label} ({known})" if known else label


def assistant_entries(text: str, reasoning: str | None, calls: Calls, *marks: str | None) -> list[Entry]:
    """Return what an agent thinks, says and calls; it says nothing where it only calls or thinks."""
    mark = next(filter(None, marks), None)
    called = calls.entries()
    entries = [Entry(Kind.REASONING, labelled("reasoning", mark), reasoning)] if reasoning else []
    if text or not (called or entries) or (mark and not entries):
        entries.append(Entry(Kind.ASSISTANT, labelled("assistant", *marks), text))
    return [*entries, *called]
