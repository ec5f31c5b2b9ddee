"""JSON lines: one record a line, blank lines between them allowed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from polars_export.errors import SourceError
from polars_export.sources.chunk import RAW_BYTES, Chunk, OversizedRecord, split_oversized

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from polars_export.sources.window import Window

__all__ = ["line_chunks", "skip_line"]

_SPACE = 0x20
_BLANK = b" \t\r\n"
_NOT_BLANK = re.compile(rb"[^ \t\r\n]")


def line_chunks(window: Window, end: int | None = None) -> Generator[Chunk, None, int]:
    """Yield the lines of a stream, as many whole ones at a time as the window has; return how many there were.

    A line that is larger than the limit of the window is a chunk of its own, with its beginning only.

    Args:
        window: It stands at the start of a line, and may end in the middle of one.
        end: Yield the lines that start before this offset in the plain source, which is at least that long.

    Raises:
        SourceError: The source ends before that.
    """
    number = 1
    at_end, is_filled = False, len(window) > 0
    while not at_end and (end is None or window.offset < end):
        at_end = not (is_filled or window.more())  # first what is there: to read more may raise an error
        is_filled = False
        if at_end and end is not None and window.offset + len(window) < end:
            raise _became_shorter(window)
        length = len(window) if at_end else window.data.rfind(b"\n", window.start, window.end) + 1 - window.start
        if length <= 0:  # one line fills the window
            if len(window) > window.limit:
                yield from _skip_oversized(window, number)
                number += 1
            continue
        if end is not None and window.offset + length >= end:
            at_end = True
            length = _length_before(window, end - window.offset, length)
        spans, positions, number = _lines(window, length, number)
        if spans:
            chunk = Chunk(window.source, window.view(length), spans, positions, offset=window.offset)
            yield from split_oversized(chunk, window.limit)
        window.drop(length)
    return number - 1


def skip_line(window: Window, end: int | None = None) -> bool:
    """Drop the first line of a stream, or what is left of it; return whether another one starts before `end`.

    Raises:
        SourceError: The source ends before that.
    """
    while end is None or window.offset < end - 1:
        if not window.more():
            if end is None:
                return False
            raise _became_shorter(window)
        newline = window.data.find(b"\n", window.start, window.end)
        if newline >= 0:
            window.drop(newline + 1 - window.start)
            return end is None or window.offset < end
        window.drop(len(window))
    return False


def _length_before(window: Window, end: int, length: int) -> int:
    """Return how many of the first bytes of a window belong to lines that start before an offset."""
    if end <= 0:
        return 0
    newline = window.data.find(b"\n", window.start + end - 1, window.start + length)
    return newline + 1 - window.start if newline >= 0 else length


def _lines(window: Window, length: int, number: int) -> tuple[list[tuple[int, int]], list[int], int]:
    """Return spans and numbers of the lines that are not blank, and the number of the line after the last."""
    data, window_start = window.data, window.start
    end = window_start + length
    spans: list[tuple[int, int]] = []
    positions: list[int] = []
    start = window_start
    while start < end:
        newline = data.find(b"\n", start, end)
        stop = newline if newline >= 0 else end
        if data[start] > _SPACE or data[start:stop].strip(_BLANK):
            spans.append((start - window_start, stop - window_start))
            positions.append(number)
        start = stop + 1
        number += 1
    return spans, positions, number


def _skip_oversized(window: Window, number: int) -> Iterator[Chunk]:
    """Drop the line that fills the window, and the rest of it as it is read; yield its beginning."""
    offset, beginning = window.offset, bytearray()
    size, blank, newline = 0, True, -1
    while newline < 0 and len(window):
        newline = window.data.find(b"\n", window.start, window.end)
        stop = newline if newline >= 0 else window.end
        blank = blank and not _NOT_BLANK.search(window.data, window.start, stop)
        length = stop - window.start
        beginning += window.view(min(length, RAW_BYTES - len(beginning)))
        size += length
        window.drop(length if newline < 0 else length + 1)
        if newline < 0:
            window.more()
    if not blank:
        data, spans = memoryview(beginning), [(0, len(beginning))]
        yield Chunk(window.source, data, spans, [number], offset=offset, oversized=OversizedRecord(window.limit, size))


def _became_shorter(window: Window) -> SourceError:
    return SourceError(window.source, "became shorter while it was read")
