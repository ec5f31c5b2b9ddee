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
        array_path: JSON path of the array that holds the records; empty where the one record is the whole document;
            None where each is a line.
        header: What every record needs of the document around them, as the text of a JSON object; None without.
        offset: Where `data` starts in the plain source.
        names: What each record is called within the source, such as a member of an archive; None without names.
        stored: Where each record stands in the source, and its size there, if that is not where it is in the data.
        oversized: Set where the chunk holds one record, and of that only the beginning.
        parts: For each record which of its traces is meant, where one may hold several; None for all of them.
    """

    source: str
    data: memoryview
    spans: Sequence[tuple[int, int]]
    positions: Sequence[int]
    array_path: str | None = None
    header: str | None = None
    offset: int = 0
    oversized: OversizedRecord | None = None
    stored: Sequence[tuple[int, int]] | None = None
    names: Sequence[str] | None = None
    parts: Sequence[int] | None = None

    def take(self, indices: Sequence[int]) -> Chunk:
        """Return the chunk with some of its records."""
        spans, positions, stored, names, parts = self.spans, self.positions, self.stored, self.names, self.parts
        return replace(
            self,
            spans=[spans[i] for i in indices],
            positions=[positions[i] for i in indices],
            stored=stored and [stored[i] for i in indices],
            names=names and [names[i] for i in indices],
            parts=parts and [parts[i] for i in indices],
        )

    def by_trace(self, counts: Sequence[int]) -> Chunk:
        """Return the chunk with each record as often as it holds traces, once for each of them."""
        repeated = self.take([index for index, count in enumerate(counts) for _ in range(count)])
        return replace(repeated, parts=[part for count in counts for part in range(count)])

    def traces(self) -> list[tuple[tuple[int, int], int]]:
        """Return for each trace the span of its record and its part of that: no two have both."""
        return list(zip(self.spans, self.parts or [0] * len(self.spans), strict=True))

    def locations(self) -> list[tuple[int, int]]:
        """Return for each record where it stands in the source, so that it can be read again, and its size there."""
        if self.stored is not None:
            return list(self.stored)
        return [(self.offset + start, end - start) for start, end in self.spans]

    def line(self, index: int) -> int | None:
        """Return the line number of a record, None where records are not lines."""
        return self.positions[index] if self.array_path is None else None

    def json_path(self, index: int) -> str:
        """Return the JSON path of a record, behind its name if it has one."""
        if self.names is not None:
            return f"{self.names[index]}: $"
        return f"{self.array_path}[{self.positions[index]}]" if self.array_path else "$"


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
