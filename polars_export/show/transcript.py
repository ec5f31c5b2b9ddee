"""What there is to show of a conversation, as plain data: who said what in which order, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Conversation", "Entry", "Kind", "Section", "not_shown"]


class Kind(StrEnum):
    """What an entry is. It decides on the colour, and from which length on the text is folded."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    REASONING = "reasoning"
    CALL = "call"
    RESULT = "result"
    ERROR = "error"
    FACT = "fact"
    """What is known of the conversation and nobody said."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was said or done; `label` names it, such as `call 2` or `assistant (context)`."""

    kind: Kind
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """Entries one behind the other, under a title; without one where they are all there is."""

    entries: tuple[Entry, ...]
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation, or several that share their beginning.

    Attributes:
        noun: What it is: a trace, or a record.
        facts: What tells it from others: case, run, score, model.
        place: Where it stands: file and line.
        sections: What was said.
    """

    noun: str
    facts: tuple[str, ...]
    place: str
    sections: tuple[Section, ...]


def not_shown(counts: dict[str, int]) -> tuple[Entry, ...]:
    """Return the entry that counts what has no place in a transcript; none where there is nothing of the kind."""
    named = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    return (Entry(Kind.FACT, "not shown", named),) if named else ()
