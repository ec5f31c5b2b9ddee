"""A rule of selection of the tests' own: all that it takes is in this file."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

import polars_export as pe

__all__ = ["ShortestRuns"]


@dataclass(frozen=True)
class ShortestRuns:
    """Keeps, of every case, the runs with the fewest turns; of equal ones those that come first.

    Attributes:
        count: How many of each case.
    """

    count: int

    columns = ("turns",)
    scope = pe.Scope.CASE

    def select(self, traces: pl.DataFrame, /) -> pl.DataFrame:
        row = pl.int_range(pl.len(), dtype=pl.UInt32)
        place = pl.struct("turns", row).rank("ordinal").over("case_high", "case_low")
        reason = pl.when(place > self.count).then(pl.lit("too_many_turns"))
        return traces.select(row=row, group=row, rank=pl.lit(0, pl.UInt32), reason=reason)
