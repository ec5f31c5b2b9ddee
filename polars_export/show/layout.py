"""Lay conversations out as lines: whom a text belongs to stands in a margin that no text can reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from polars_export.show.fold import fold
from polars_export.show.harmless import one_line
from polars_export.show.rows import cell_width
from polars_export.show.transcript import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polars_export.show.transcript import Conversation, Entry

__all__ = ["HEADING", "NOTE", "Layout", "Line", "Span"]

HEADING, NOTE = "heading", "note"
"""Styles beside those named after kinds of entries."""

_MARGIN = 11  # the longest usual label, `assistant`, with a colon and a space
_NARROW_MARGIN, _NARROW = 2, 40
_NARROWEST = 10  # cells for a text, whatever a terminal says of its width
_MOST_ROWS = {Kind.CALL: 10, Kind.RESULT: 10, Kind.SYSTEM: 20, Kind.REASONING: 20, Kind.FACT: 10, Kind.ERROR: 20}
"""From how many rows on a text is folded; what user and assistant say is read whole up to `_MOST_ROWS_SAID`."""
_MOST_ROWS_SAID = 60


class Span(NamedTuple):
    """A piece of a line in one style: the name of a kind of entries, `HEADING`, `NOTE`, or none."""

    text: str
    style: str | None = None


Line = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """How lines are laid out.

    Attributes:
        width: Cells of a line; None for the plain form, in which no line of a text is broken.
        full: Whether long texts are shown whole.
    """

    width: int | None = None
    full: bool = False

    def conversation(self, conversation: Conversation, number: int) -> Iterator[Line]:
        """Yield the lines of a conversation."""
        known = ", ".join(one_line(fact) for fact in conversation.facts)
        heading = f"{conversation.noun} {number}{f': {known}' if known else ''} ({one_line(conversation.place)})"
        yield from self.heading(heading)
        for section in conversation.sections:
            if section.title is not None:
                yield from self._titled(one_line(section.title), "-")
            for entry in section.entries:
                yield from self._entry(entry)
        yield ()

    def heading(self, text: str) -> Iterator[Line]:
        """Yield the lines of a heading; the text is harmless."""
        return self._titled(text, "=")

    def _titled(self, text: str, rule: str) -> Iterator[Line]:
        if self.width is None:
            yield (Span(f"{rule * 3} {text}", HEADING),)
            return
        drawn = {"=": "━", "-": "─"}[rule]
        yield (Span(drawn * max(self.width, 1), NOTE),)
        for row in fold(text, max(self.width, _NARROWEST), None).rows:
            yield (Span(row, HEADING),)

    def _entry(self, entry: Entry) -> Iterator[Line]:
        label = f"{one_line(entry.label)}:"
        is_narrow = self.width is not None and self.width < _NARROW
        margin = _NARROW_MARGIN if is_narrow else _MARGIN
        width = None if self.width is None else max(self.width - margin, _NARROWEST)
        most_rows = None if self.full else _MOST_ROWS.get(entry.kind, _MOST_ROWS_SAID)
        folded = fold(entry.text, width, most_rows)
        rows = iter(folded.rows)
        padding = margin - cell_width(label)
        if padding > 0:
            yield _line(Span(label.ljust(len(label) + padding), entry.kind), _body(next(rows, ""), entry.kind))
        elif self.width is None:
            yield _line(Span(f"{label} ", entry.kind), _body(next(rows, ""), entry.kind))
        else:  # a label that is too long stands on lines of its own
            for row in fold(label, max(self.width, _NARROWEST), None).rows:
                yield (Span(row, entry.kind),)
        indent = Span(" " * margin)
        for row in rows:
            yield _line(indent, _body(row, entry.kind))
        for row in fold(folded.rest, width, None).rows if folded.rest else ():
            yield indent, Span(row, NOTE)


def _body(text: str, kind: Kind) -> Span:
    return Span(text, kind if kind in {Kind.REASONING, Kind.ERROR} else None)


def _line(label: Span, body: Span) -> Line:
    """Return a line; without blanks at its end where it has no text."""
    return (label, body) if body.text else ((label._replace(text=label.text.rstrip()),) if label.text.strip() else ())
