"""The tables of a batch as Polars frames that stay in step: dropping or reordering traces takes their turns along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import polars as pl

from polars_export.tables.nested import parent_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Tables"]


@dataclass(frozen=True, slots=True)
class Tables:
    """Traces, one a row, with their scores; and their turns, one a row, in the order of the traces.

    The first `traces["turns"][0]` rows of `turns` belong to the first trace, the next to the second, and so on. The
    column `trace` of both keeps the numbers that the traces were read with.
    """

    traces: pl.DataFrame
    turns: pl.DataFrame

    @classmethod
    def concat(cls, parts: Sequence[Tables]) -> Self:
        """Put tables one behind the other."""
        return cls(pl.concat([part.traces for part in parts]), pl.concat([part.turns for part in parts]))

    def __len__(self) -> int:
        return self.traces.height

    def filter(self, keep: pl.Series) -> Tables:
        """Return the traces for which `keep` is true."""
        if keep.all():
            return self
        return Tables(self.traces.filter(keep), self.turns.filter(keep.gather(self.trace_rows())))

    def take(self, rows: pl.Series) -> Tables:
        """Return the traces of these rows, in that order."""
        lengths = self.traces["turns"]
        starts = (lengths.cum_sum() - lengths).gather(rows)
        taken = self.traces[rows]
        turn_rows = pl.select(pl.int_ranges(starts, starts + taken["turns"])).to_series().explode().drop_nulls()
        return Tables(taken, self.turns[turn_rows])

    def trace_rows(self) -> pl.Series:
        """Return, for each row of `turns`, the row of `traces` that it belongs to."""
        return parent_rows(self.traces["turns"])
