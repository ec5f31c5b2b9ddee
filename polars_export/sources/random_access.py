"""Read chosen records again, from where they stand in files that are not compressed."""

from __future__ import annotations

from itertools import accumulate, groupby, pairwise
from typing import TYPE_CHECKING, NamedTuple

from polars_export.errors import SourceError
from polars_export.sources.chunk import Chunk
from polars_export.sources.store import as_source_error, store_for
from polars_export.sources.window import CHUNK_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from polars_export.sources.layout import TableLayout

__all__ = ["RecordLocation", "StoredSource", "read_records"]


class RecordLocation(NamedTuple):
    """Where a trace stands: the number of its source, the bytes of its record there, and its part of the record."""

    source: int
    offset: int
    length: int
    part: int


class StoredSource(NamedTuple):
    """A source whose records can be read again.

    Attributes:
        source: What it is called in messages.
        path: The file to read: the source itself, or its spool.
        array_path: As in the chunks of the source.
        header: As in the chunks of the source.
        layout: Of a source with a `TableLayout` that, else None.
    """

    source: str
    path: str
    array_path: str | None
    header: str | None
    layout: TableLayout | None = None


def read_records(
    locations: Iterable[RecordLocation], stored: Mapping[int, StoredSource]
) -> Iterator[tuple[int, Chunk]]:
    """Yield the records at these locations, in their order, which should be that of the files, with their source.

    The positions in the chunks count from 0: the line or index of a record is not known any more.

    Raises:
        SourceError: A file cannot be read, or has become shorter.
    """
    for number, of_source in groupby(locations, key=lambda location: location.source):
        source = stored[number]
        for batch in _batches(of_source):
            wanted = [(offset, length) for _, offset, length, _ in batch]
            ranges = list(dict.fromkeys(wanted))  # a record may hold several traces
            if source.layout:
                data, spans = source.layout.read_again(source.path, source.source, ranges)
            else:
                data, spans = _read_ranges(source, ranges)
            placed = dict(zip(ranges, spans, strict=True))
            chunk = Chunk(
                source.source,
                memoryview(data),
                [placed[range_] for range_ in wanted],
                range(len(wanted)),
                source.array_path,
                source.header,
                stored=wanted,
                parts=[location.part for location in batch],
            )
            yield number, chunk


def _read_ranges(source: StoredSource, ranges: Sequence[tuple[int, int]]) -> tuple[bytes, Sequence[tuple[int, int]]]:
    with as_source_error(source.source):
        data = store_for(source.path).read_ranges(source.path, ranges)
    spans = list(pairwise(accumulate((length for _, length in ranges), initial=0)))
    if len(data) != spans[-1][1]:
        raise SourceError(source.source, "became shorter while it was read")
    return data, spans


def _batches(locations: Iterable[RecordLocation]) -> Iterator[list[RecordLocation]]:
    """Yield as many locations at a time as a chunk holds bytes of records."""
    batch: list[RecordLocation] = []
    size = 0
    for location in locations:
        if batch and size + location.length > CHUNK_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(location)
        size += location.length
    if batch:
        yield batch
