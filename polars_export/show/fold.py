"""Fold long texts: their beginning, and how much more there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from polars_export.show.rows import unwrapped_rows, wrapped_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polars_export.show.rows import Row

__all__ = ["Folded", "fold"]

_SLACK = 3
"""Rows that are not worth folding: the line that says how many there are would take one itself."""


@dataclass(frozen=True, slots=True)
class Folded:
    """The rows of a text that are shown; `rest` says what is not, None where that is nothing."""

    rows: list[str]
    rest: str | None


def fold(text: str, width: int | None, most_rows: int | None) -> Folded:
    """Return a text as rows.

    Only what is shown is looked at, however long the text is.

    Args:
        text: Any text.
        width: Cells of a row; None to leave lines whole, of which each hundred characters then count as a row.
        most_rows: From how many rows on, and a few more, the rest is folded; None for never.
    """
    rows = unwrapped_rows(text) if width is None else wrapped_rows(text, width)
    kept: list[Row] = []
    for row in rows:
        kept.append(row)
        if most_rows is not None and len(kept) > most_rows + _SLACK:
            del kept[most_rows:]
            return Folded(list(_joined(kept, width)), _rest(text, kept[-1].end))
    return Folded(list(_joined(kept, width)), None)


def _joined(rows: list[Row], width: int | None) -> Iterator[str]:
    """Yield the texts of rows; where nothing is wrapped, the pieces of a line as one."""
    if width is not None:
        yield from (row.text for row in rows)
        return
    line: list[str] = []
    for row in rows:
        if line and not row.continues:
            yield "".join(line)
            line.clear()
        line.append(row.text)
    yield "".join(line)


def _rest(text: str, end: int) -> str:
    """Say how much of a text stands behind a place: in lines, or in characters where that is the rest of a line."""
    newlines = text.count("\n", end) - text.endswith("\n")
    is_at_line_end = text.startswith(("\n", "\r\n"), end)
    lines = newlines + (not is_at_line_end)
    if newlines <= 0 and not is_at_line_end:
        return _more(len(text) - end, "character")
    return _more(lines, "line")


def _more(count: int, what: str) -> str:
    return f"… {count:,} more {what}{'' if count == 1 else 's'}"
