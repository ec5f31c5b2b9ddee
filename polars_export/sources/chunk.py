"""Chunks of a source: a buffer, and where the records are in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["RAW_BYTES", "Chunk", "OversizedRecord", "split_oversized"]

RAW_BYTES = 10_000
"""How much of an invalid record is kept: enough to see what it is, and little even where many are invalid."""


class OversizedRecord(NamedTuple):
    """Why a record is not held whole: it takes `size` bytes, more than the `limit`."""

    limit: int
    size: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some consecutive records of one source, still as bytes.

    Attributes:
        source: The name of the source in messages.
        data: May be a view of a buffer that the next chunk reuses: decode before asking for that one.
        spans: `data[start:end]` is a record, for each of them.
        positions: Line numbers from 1 or, in an array, indices from 0.
        array_path: JSON path of the array that holds the records; None where each is a line.
        header: The document's value that every record of it needs; None without one.
        offset: Where `data` starts in the plain source.
        oversized: Set where the chunk holds one record, and of that only the beginning.
    """

    source: str
    data: memoryview
    spans: Sequence[tuple[int, int]]
    positions: Sequence[int]
    array_path: str | None = None
    header: str | None = None
    offset: int = 0
    oversized: OversizedRecord | None = None

    def take(self, indices: Sequence[int]) -> Chunk:
        """Return the chunk with some of its records."""
        spans, positions = self.spans, self.positions
        return replace(self, spans=[spans[i] for i in indices], positions=[positions[i] for i in indices])

    def line(self, index: int) -> int | None:
        """Return the line number of a record, None where records are not lines."""
        return self.positions[index] if self.array_path is None else None

    def json_path(self, index: int) -> str:
        """Return the JSON path of a record."""
        return "$" if self.array_path is None else f"{self.array_path}[{self.positions[index]}]"


def split_oversized(chunk: Chunk, limit: int) -> Iterator[Chunk]:
    """Yield the records of a chunk, those that are larger than a limit as chunks of their own."""
    if len(chunk.data) <= limit:
        yield chunk
        return
    within: list[int] = []
    for index, (start, end) in enumerate(chunk.spans):
        if end - start <= limit:
            within.append(index)
            continue
        if within:
            yield chunk.take(within)
            within = []
        beginning = [(start, min(end, start + RAW_BYTES))]
        yield replace(chunk.take([index]), spans=beginning, oversized=OversizedRecord(limit, end - start))
    if within:
        yield chunk.take(within)
