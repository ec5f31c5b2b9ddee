"""Cut sources into segments that can be read on their own, and put these into parts of about equal size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from polars_export.errors import ExportError, SourceError
from polars_export.inputs.detect import Kind, NoTracesError, recognise
from polars_export.sources.store import as_source_error, store_for
from polars_export.sources.stream import STDIN, ByteStream, is_piped
from polars_export.sources.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from polars_export.sources.find import FoundFile

__all__ = ["PART_BYTES", "Part", "Segment", "lines_before", "parts_of", "raise_if_all_skipped", "size_of"]

PART_BYTES = 32 << 20
"""Bytes of a part as stored: half a second of work, so that processes end at about the same time, and some thousand
traces, so that few row groups of a Parquet file end early. It is not an option: the files would depend on it."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A source, or of a large file of lines those that start from `start` on and before `end`.

    What is appended to a file once it has been cut into segments is not read.

    Attributes:
        number: RecordLocation of the source among all.
        path: The source.
        searched: Whether it was met in the search of a directory.
        start: Where it begins, in bytes.
        end: Where it ends; None where the source is one segment.
        size: Its bytes as they are stored; 0 where that is not known.
        holds: What the source holds in place of traces, where that is known already and it is to be passed over.
    """

    number: int
    path: str
    searched: bool = False
    start: int = 0
    end: int | None = None
    size: int = 0
    holds: str | None = None


Part = tuple[Segment, ...]
"""Consecutive segments: the work of a moment for one process."""


def parts_of(found: Sequence[FoundFile], *, tolerant: bool = False) -> Iterator[Part]:
    """Yield the parts of some sources in order. They depend on the sources alone.

    Args:
        found: The sources.
        tolerant: Leave it to who reads a source to say that it cannot be opened.

    Raises:
        SourceError: A source has gone, or cannot be opened.
    """
    part: list[Segment] = []
    size = 0
    for segment in (segment for number, source in enumerate(found) for segment in _segments(number, source, tolerant)):
        if part and size + segment.size > PART_BYTES:
            yield tuple(part)
            part, size = [], 0
        part.append(segment)
        size += segment.size
    if part:
        yield tuple(part)


def lines_before(segment: Segment) -> int:
    """Return how many lines of its file precede a segment."""
    if not segment.start:
        return 0
    count, left = 1, segment.start - 1
    with store_for(segment.path).open(segment.path) as file:
        while left and (block := file.read(min(left, 1 << 20))):
            count += block.count(b"\n")
            left -= len(block)
    return count


def size_of(path: str, *, tolerant: bool = False) -> int:
    """Return the size of a source as it is stored; 0 for standard input, or where it has gone and that is tolerated.

    Raises:
        SourceError: It has gone.
    """
    if path == STDIN:
        return 0
    try:
        with as_source_error(path):
            return store_for(path).status(path).size
    except SourceError:
        if tolerant:
            return 0
        raise


def raise_if_all_skipped(passed_over: Mapping[str, str], found: Sequence[FoundFile]) -> None:
    """Check that not all of the sources have been passed over.

    Raises:
        SourceError: They have; it names the first.
    """
    if passed_over and passed_over.keys() == {source.path for source in found}:
        path, problem = next(iter(passed_over.items()))
        raise SourceError(path, problem)


def _segments(number: int, source: FoundFile, tolerant: bool) -> Iterator[Segment]:  # noqa: FBT001 - as in `parts_of`
    size = size_of(source.path, tolerant=tolerant)
    whole = Segment(number, source.path, source.searched, size=size)
    try:
        can_be_cut = size > PART_BYTES and _is_plain_lines(source, tolerant)
    except NoTracesError as error:
        yield replace(whole, holds=error.problem if source.searched else None)
        return
    if not can_be_cut:
        yield whole
        return
    for start in range(0, size, PART_BYTES):
        end = min(start + PART_BYTES, size)
        yield replace(whole, start=start, end=end, size=end - start)


def _is_plain_lines(source: FoundFile, tolerant: bool) -> bool:  # noqa: FBT001 - as above
    """Return whether a source can be cut at its lines.

    Raises:
        NoTracesError: It holds no traces.
    """
    if is_piped(source.path):
        return False
    with ByteStream(source.path) as stream:
        if stream.codec:
            return False
        try:
            return recognise(Window(stream), tolerant=tolerant, searched=source.searched) is Kind.LINES
        except NoTracesError:
            raise
        except ExportError:
            return False  # whoever reads it will say what is wrong, when it is its turn
