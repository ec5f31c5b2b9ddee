"""Counts that grow while batches pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polars_export.report import LeftOut

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """The account of an export under way."""

    traces_read: int = 0
    exported: int = 0
    records: int = 0
    left_out: Counter[LeftOut] = field(default_factory=Counter)
    not_carried: Counter[str] = field(default_factory=Counter)

    def leave_out(self, reason: LeftOut, count: int) -> None:
        """Count traces that are in no record."""
        if count:
            self.left_out[reason] += count
