"""JSON lines: one record a line, blank lines between them allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.chunk import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polars_export.sources.stream import Window

__all__ = ["line_chunks"]

_SPACE = 0x20


def line_chunks(window: Window) -> Iterator[Chunk]:
    """Yield the lines of a stream, whole lines only, as many at a time as the window holds."""
    next_line = 1
    at_end = False
    while not at_end:
        at_end = not window.more()
        length = len(window) if at_end else window.data.rfind(b"\n", window.start, window.end) + 1 - window.start
        if length <= 0:
            continue  # one line fills the window: read on
        spans, positions, next_line = _lines(window, length, next_line)
        if spans:
            yield Chunk(window.source, window.view(length), spans, positions)
        window.drop(length)


def _lines(window: Window, length: int, number: int) -> tuple[list[tuple[int, int]], list[int], int]:
    """Return spans and numbers of the lines that are not blank, and the number of the line after the last."""
    data, base = window.data, window.start
    end = base + length
    spans: list[tuple[int, int]] = []
    positions: list[int] = []
    start = base
    while start < end:
        newline = data.find(b"\n", start, end)
        stop = newline if newline >= 0 else end
        if data[start] > _SPACE or data[start:stop].strip(b" \t\r\n"):
            spans.append((start - base, stop - base))
            positions.append(number)
        start = stop + 1
        number += 1
    return spans, positions, number
