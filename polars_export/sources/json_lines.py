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
    """Yield the lines of a stream, whole lines only, as many at a time as the window holds, and return their number.

    Of a line that is larger than the limit of the window only the beginning is yielded, as a chunk of its own.

    Args:
        window: Stands at the start of a line; what it holds may end in the middle of one.
        end: Where in the plain source a line must start before to be among them; the source goes at least that far.

    Raises:
        SourceError: The source ends before that.
    """
    number = 1
    at_end, held = False, len(window) > 0
    while not at_end and (end is None or window.offset < end):
        at_end = not (held or window.more())  # what is held comes first: behind it there may be an error
        held = False
        if at_end and end is not None and window.offset + len(window) < end:
            raise _became_shorter(window)
        length = len(window) if at_end else window.data.rfind(b"\n", window.start, window.end) + 1 - window.start
        if length <= 0:  # one line fills the window: read on
            if len(window) > window.limit:
                yield from _passed_over(window, number)
                number += 1
            continue
        if end is not None and window.offset + length >= end:
            at_end = True
            length = _up_to(window, end - window.offset, length)
        spans, positions, number = _lines(window, length, number)
        if spans:
            chunk = Chunk(window.source, window.view(length), spans, positions, offset=window.offset)
            yield from split_oversized(chunk, window.limit)
        window.drop(length)
    return number - 1


def skip_line(window: Window, end: int | None = None) -> bool:
    """Drop what precedes the second line of a stream; return whether there is one that starts before an end.

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
        if data[start] > _SPACE or data[start:stop].strip(_BLANK):
            spans.append((start - base, stop - base))
            positions.append(number)
        start = stop + 1
        number += 1
    return spans, positions, number


def _passed_over(window: Window, number: int) -> Iterator[Chunk]:
    """Drop the line that fills the window and its newline, without holding the rest; yield its beginning."""
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
