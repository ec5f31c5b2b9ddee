"""What sources hand to decoding: a buffer with the places of the records in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Chunk", "Origin"]


class Origin(StrEnum):
    """Where records stand; the value is the JSON path of the array that holds them."""

    LINES = ""
    DOCUMENT = "$.case_results"
    OBJECTS = "$"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some consecutive records of one source, still as bytes.

    `data[start:end]` is a record for each of the `spans`. `data` may be a view of a buffer that the next chunk reuses:
    decode before asking for that one. `positions` are line numbers from 1 or, where the origin is not lines, indices
    from 0 in the array. `eval_set_id` is the document's. `offset` is where `data` starts in the plain source.
    """

    source: str
    data: memoryview
    spans: Sequence[tuple[int, int]]
    positions: Sequence[int]
    origin: Origin = Origin.LINES
    eval_set_id: str | None = None
    offset: int = 0

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
