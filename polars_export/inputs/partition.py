"""Cut sources into segments, recognising what can be cut, and put these into parts of about equal size."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias, cast

from polars_export.errors import ExportError
from polars_export.inputs.detect import detect
from polars_export.inputs.no_traces import NoTracesError
from polars_export.inputs.read_options import DEFAULT
from polars_export.sources import segments
from polars_export.sources.segments import Segment, size_of
from polars_export.sources.stream import ByteStream, is_piped
from polars_export.sources.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from polars_export.inputs.dialect import Match
    from polars_export.inputs.read_options import ReadOptions
    from polars_export.sources.find import FoundFile
    from polars_export.sources.layout import TableLayout

__all__ = ["Part", "partition"]

Part: TypeAlias = tuple[Segment, ...]
"""Consecutive segments: one task of a process."""


def partition(found: Sequence[FoundFile], options: ReadOptions = DEFAULT) -> Iterator[Part]:
    """Yield the parts of some sources in order. They depend on the sources alone.

    Args:
        found: The sources.
        options: How they are read; who reads a source says that it cannot be opened, where that is tolerated.

    Raises:
        SourceError: A source has gone, or cannot be opened.
    """
    part: list[Segment] = []
    size = 0
    for number, source in enumerate(found):
        for segment in _segments(number, source, options):
            if part and size + segment.size > segments.PART_BYTES:
                yield tuple(part)
                part, size = [], 0
            part.append(segment)
            size += segment.size
    if part:
        yield tuple(part)


def _segments(number: int, source: FoundFile, options: ReadOptions) -> Iterator[Segment]:
    size, part_bytes = size_of(source.path, tolerant=options.tolerant), segments.PART_BYTES
    whole = Segment(number, source.path, source.searched, size=size, file_size=size)
    if size <= part_bytes:
        yield whole  # recognised when it is read
        return
    try:
        match = _match_of_plain(source, options)
    except NoTracesError as error:
        yield replace(whole, skip_reason=error.problem if source.searched else None)
        return
    if match is None or (match.layout and match.layout.is_stream):
        yield whole
        return
    if match.layout:
        yield from _unit_segments(replace(whole, match=match), cast("TableLayout", match.layout))
        return
    for start in range(0, size, part_bytes):
        end = min(start + part_bytes, size)
        yield replace(whole, start=start, end=end, size=end - start, match=match)


def _unit_segments(whole: Segment, layout: TableLayout) -> Iterator[Segment]:
    try:
        ranges = layout.cut(whole.path, segments.PART_BYTES)
    except ExportError:
        yield whole  # as below
        return
    start = 0
    for number, (first, last, bytes_in_file) in enumerate(ranges):
        is_last = number == len(ranges) - 1
        size = whole.size - start if is_last else bytes_in_file  # the last one has what stands around the units too
        yield replace(whole, start=start, size=size, units=(first, last))
        start += size


def _match_of_plain(source: FoundFile, options: ReadOptions) -> Match | None:
    """Recognise a source that is neither piped nor compressed; None for one that is, or cannot be recognised.

    Raises:
        NoTracesError: It holds no traces.
    """
    if is_piped(source.path):
        return None
    with ByteStream(source.path) as stream:
        if stream.codec:
            return None
        try:
            return detect(Window(stream), options, searched=source.searched)
        except NoTracesError:
            raise
        except ExportError:
            return None  # reading it raises the error, when it is its turn
