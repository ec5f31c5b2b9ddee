"""Segments: ranges of sources that can be read on their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from polars_export.errors import SourceError
from polars_export.sources.store import as_source_error, store_for
from polars_export.sources.stream import STDIN

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from polars_export.sources.find import FoundFile

__all__ = ["PART_BYTES", "Segment", "lines_before", "lines_in", "raise_if_all_skipped", "size_of"]

PART_BYTES = 32 << 20
"""Bytes of a part as stored: half a second of work, so that processes end at about the same time, and some thousand
traces, so that few row groups of a Parquet file end early. It is not an option: the files would depend on it."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A source, or of a large file of lines those that start from `start` on and before `end`.

    What is appended to a file once it has been cut into segments is not read.

    Attributes:
        number: Place of the source among all.
        path: The source.
        searched: Whether it was met in the search of a directory.
        start: Where it begins, in bytes.
        end: Where it ends; None where the source is one segment.
        size: Its bytes as they are stored; 0 where that is not known.
        file_size: Those of the whole source.
        match: What the source was recognised as; None where that is not known yet.
        units: Of a source with a `TableLayout` the units to read; None for all.
        skip_reason: What the source holds in place of traces, where that is known already and it is to be skipped;
            empty where it belongs to other sources.
    """

    number: int
    path: str
    searched: bool = False
    start: int = 0
    end: int | None = None
    size: int = 0
    file_size: int = 0
    match: Hashable | None = None
    units: tuple[int, int] | None = None
    skip_reason: str | None = None


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


def lines_in(segment: Segment) -> int:
    """Return how many lines of its file start in a segment that is one of several; 0 for a whole file.

    Raises:
        SourceError: The file cannot be read.
    """
    if segment.end is None:
        return 0
    start = max(segment.start - 1, 0)  # as a line starts behind a newline
    count, left = 0 if segment.start else 1, segment.end - 1 - start
    with as_source_error(segment.path), store_for(segment.path).open(segment.path) as file:
        file.seek(start)
        while left > 0 and (block := file.read(min(left, 1 << 20))):
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


def raise_if_all_skipped(skipped: Mapping[str, str], found: Sequence[FoundFile]) -> None:
    """Check that not all of the sources were skipped.

    Args:
        skipped: Those that were, each with what it holds; nothing where it belongs to other sources.
        found: All of them.

    Raises:
        SourceError: They have; it names the first that does not belong to another.
    """
    if skipped and skipped.keys() == {source.path for source in found}:
        first = next(iter(skipped.items()))
        path, problem = next((item for item in skipped.items() if item[1]), first)
        raise SourceError(
            path, problem or "it belongs to traces that were not searched; name the file to read it alone"
        )
