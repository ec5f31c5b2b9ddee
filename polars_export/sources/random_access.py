"""Read chosen records again, from where they stand in files that are not compressed."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from polars_export.errors import SourceError
from polars_export.sources.chunk import Chunk
from polars_export.sources.stream import CHUNK_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from polars_export.sources.chunk import Origin

__all__ = ["RecordLocation", "StoredSource", "read_records"]


class RecordLocation(NamedTuple):
    """Where a record stands: the number of its source, and its bytes there."""

    source: int
    offset: int
    length: int


class StoredSource(NamedTuple):
    """A source whose records are read again.

    Attributes:
        source: What it is called in messages.
        path: The file to read: the source itself, or its spool.
        origin: How its records stand in it.
        eval_set_id: The document's.
    """

    source: str
    path: str
    origin: Origin
    eval_set_id: str | None


def read_records(places: Iterable[RecordLocation], stored: Mapping[int, StoredSource]) -> Iterator[Chunk]:
    """Yield the records at these places, in their order, which should be that of the files.

    The positions of the chunks count from 0: where exactly a record stands is not known any more.

    Raises:
        SourceError: A file cannot be read, or has become shorter.
    """
    for number, of_source in groupby(places, key=lambda place: place.source):
        source = stored[number]
        try:
            with Path(source.path).open("rb", buffering=0) as file:
                for some in _at_once(of_source):
                    data = bytearray()
                    spans = []
                    for _, offset, length in some:
                        file.seek(offset)
                        spans.append((len(data), len(data) + length))
                        data += file.read(length)
                    if len(data) != spans[-1][1]:
                        raise SourceError(source.source, "became shorter while it was read")
                    yield Chunk(
                        source.source, memoryview(data), spans, range(len(spans)), source.origin, source.eval_set_id
                    )
        except OSError as error:
            raise SourceError(source.source, error.strerror or str(error)) from error


def _at_once(places: Iterable[RecordLocation]) -> Iterator[list[RecordLocation]]:
    """Yield the places a chunk's worth at a time."""
    some: list[RecordLocation] = []
    size = 0
    for place in places:
        if some and size + place.length > CHUNK_BYTES:
            yield some
            some, size = [], 0
        some.append(place)
        size += place.length
    if some:
        yield some
