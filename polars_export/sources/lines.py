"""JSON lines: one record a line, blank lines between them allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.chunk import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polars_export.sources.stream import Window

__all__ = ["line_chunks", "skip_line"]

_SPACE = 0x20


def line_chunks(window: Window, end: int | None = None) -> Iterator[Chunk]:
    """Yield the lines of a stream, whole lines only, as many at a time as the window holds.

    Args:
        window: Stands at the start of a line.
        end: Where in the plain source a line must start before to be among them.
    """
    next_line = 1
    at_end = False
    while not at_end:
        at_end = not window.more()
        length = len(window) if at_end else window.data.rfind(b"\n", window.start, window.end) + 1 - window.start
        if length <= 0:
            continue  # one line fills the window: read on
        if end is not None and window.offset + length >= end:
            at_end = True
            length = _up_to(window, end - window.offset, length)
        spans, positions, next_line = _lines(window, length, next_line)
        if spans:
            yield Chunk(window.source, window.view(length), spans, positions, offset=window.offset)
        window.drop(length)


def skip_line(window: Window) -> None:
    """Drop what precedes the second line of a stream."""
    while window.more():
        newline = window.data.find(b"\n", window.start, window.end)
        if newline >= 0:
            window.drop(newline + 1 - window.start)
            return
        window.drop(len(window))


def _up_to(window: Window, limit: int, length: int) -> int:
    """Return the length of those lines of a window that start before a limit."""
    if limit <= 0:
        return 0
    newline = window.data.find(b"\n", window.start + limit - 1, window.start + length)
    return newline + 1 - window.start if newline >= 0 else length


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
