"""Chunks of a source: a buffer, and where the records are in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["RAW_BYTES", "Chunk", "Origin", "OversizedRecord", "split_oversized"]

RAW_BYTES = 10_000
"""How many bytes of a rejected record are kept: enough to see what it is, and little even where many are bad."""


class Origin(StrEnum):
    """Where records stand; the value is the JSON path of the array that holds them."""

    LINES = ""
    DOCUMENT = "$.case_results"
    OBJECTS = "$"


class OversizedRecord(NamedTuple):
    """Why a record is skipped: it has `size` bytes, more than the `limit`."""

    limit: int
    size: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some consecutive records of one source, still as bytes.

    `data[start:end]` is a record for each of the `spans`. `data` may be a view of a buffer that the next chunk reuses:
    decode before asking for that one. `positions` are line numbers from 1 or, where the origin is not lines, indices
    from 0 in the array. `eval_set_id` is the document's. `offset` is where `data` starts in the plain source.
    With `oversized`, the chunk holds one record, and of that only the beginning.
    """

    source: str
    data: memoryview
    spans: Sequence[tuple[int, int]]
    positions: Sequence[int]
    origin: Origin = Origin.LINES
    eval_set_id: str | None = None
    offset: int = 0
    oversized: OversizedRecord | None = None

    def only(self, indices: Sequence[int]) -> Chunk:
        """Return the chunk with some of its records."""
        spans, positions = self.spans, self.positions
        return replace(self, spans=[spans[i] for i in indices], positions=[positions[i] for i in indices])

    def line(self, index: int) -> int | None:
        """Return the line number of a record, None where records are not lines."""
        return self.positions[index] if self.origin is Origin.LINES else None

    def json_path(self, index: int) -> str:
        """Return the JSON path of a record."""
        return "$" if self.origin is Origin.LINES else f"{self.origin}[{self.positions[index]}]"


def split_oversized(chunk: Chunk, limit: int) -> Iterator[Chunk]:
    """Yield the records of a chunk, those that are larger than a limit as chunks of their own."""
    if len(chunk.data) <= limit:
        yield chunk
        return
    good: list[int] = []
    for index, (start, end) in enumerate(chunk.spans):
        if end - start <= limit:
            good.append(index)
            continue
        if good:
            yield chunk.only(good)
            good = []
        beginning = [(start, min(end, start + RAW_BYTES))]
        yield replace(chunk.only([index]), spans=beginning, oversized=OversizedRecord(limit, end - start))
    if good:
        yield chunk.only(good)
