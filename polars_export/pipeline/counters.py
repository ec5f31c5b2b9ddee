"""Counts that grow while batches pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from polars_export.errors import MissingPromptError, NothingToExportError

__all__ = ["Counters"]

_CASES_NAMED = 5


@dataclass(slots=True)
class Counters:
    """The account of an export under way.

    `missing` are the cases without a user's message, in the order read, where that is an error.
    """

    traces_read: int = 0
    exported: int = 0
    records: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    dropped_content: Counter[str] = field(default_factory=Counter)
    missing: dict[tuple[str | None, str], None] = field(default_factory=dict)

    def drop(self, reason: str, count: int) -> None:
        """Count traces that are in no record."""
        if count:
            self.dropped[reason] += count

    def add(self, other: Counters) -> None:
        """Add the counts of another part of the same export."""
        self.traces_read += other.traces_read
        self.exported += other.exported
        self.records += other.records
        self.dropped.update(other.dropped)
        self.dropped_content.update(other.dropped_content)
        self.missing |= other.missing

    def raise_if_empty(self, threshold: float | None) -> None:
        """Check that there is something to write.

        Raises:
            MissingPromptError: There are cases without a user's message, where that is an error.
            NothingToExportError: There is no record.
        """
        if self.missing:
            raise MissingPromptError(len(self.missing), list(self.missing)[:_CASES_NAMED])
        if not self.records:
            dropped = {str(reason): count for reason, count in self.dropped.items()}
            raise NothingToExportError(threshold, self.traces_read, dropped)
