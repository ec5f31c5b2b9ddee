"""Counts that grow while batches pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from polars_export.errors import MissingPromptError, NothingToExportError

if TYPE_CHECKING:
    from polars_export.report import LeftOut

__all__ = ["Tally"]

_CASES_NAMED = 5


@dataclass(slots=True)
class Tally:
    """The account of an export under way.

    `missing` are the cases without a user's message, in the order read, where that is an error.
    """

    traces_read: int = 0
    exported: int = 0
    records: int = 0
    left_out: Counter[LeftOut] = field(default_factory=Counter)
    not_carried: Counter[str] = field(default_factory=Counter)
    missing: dict[tuple[str | None, str], None] = field(default_factory=dict)

    def leave_out(self, reason: LeftOut, count: int) -> None:
        """Count traces that are in no record."""
        if count:
            self.left_out[reason] += count

    def add(self, other: Tally) -> None:
        """Add the counts of another part of the same export."""
        self.traces_read += other.traces_read
        self.exported += other.exported
        self.records += other.records
        self.left_out.update(other.left_out)
        self.not_carried.update(other.not_carried)
        self.missing |= other.missing

    def refuse_nothing(self, threshold: float) -> None:
        """Check that there is something to write.

        Raises:
            MissingPromptError: There are cases without a user's message, where that is an error.
            NothingToExportError: There is no record.
        """
        if self.missing:
            raise MissingPromptError(len(self.missing), list(self.missing)[:_CASES_NAMED])
        if not self.records:
            left_out = {str(reason): count for reason, count in self.left_out.items()}
            raise NothingToExportError(threshold, self.traces_read, left_out)
