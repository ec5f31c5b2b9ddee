"""Pair the best and the worst trace of every case."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from polars_export.report import DropReason
from polars_export.selection.rule import CASE_KEY, Scope

__all__ = ["BestWorstPairs"]

_CHOSEN, _REJECTED = 0, 1  # ranks


@dataclass(frozen=True, slots=True)
class BestWorstPairs:
    """Pairs, of every case, the first trace with the highest score and the last with the lowest.

    Attributes:
        min_margin: How much higher the one must score than the other, at least.
        allow_ties: Whether any two traces make a pair, as the reference has it: neither margin counts then.
    """

    min_margin: float = 0.0
    allow_ties: bool = False

    columns = ("score",)
    scope = Scope.CASE

    def select(self, traces: pl.DataFrame, /) -> pl.DataFrame:
        """Decide on traces; see `Rule.select`. The pairs are in the order in which their cases first appear."""
        rows = traces.select(*CASE_KEY, "score").with_row_index("row")
        sides = _sides(rows).with_columns(reason=self._reason())
        ends = pl.concat(
            [
                sides.select("group", "reason", row="chosen", rank=pl.lit(_CHOSEN, pl.UInt32)),
                sides.filter(pl.col("runs") > 1).select(
                    "group", "reason", row="rejected", rank=pl.lit(_REJECTED, pl.UInt32)
                ),
            ]
        )
        decided = rows.join(ends, on="row", how="left", maintain_order="left")
        unscored = pl.when(pl.col("score").is_null()).then(pl.lit(str(DropReason.UNSCORED)))
        between = unscored.otherwise(pl.lit(str(DropReason.NOT_SELECTED)))
        is_end = pl.col("group").is_not_null()
        return decided.select(
            "row",
            pl.col("group").fill_null(pl.col("row")),
            pl.col("rank").fill_null(0),
            reason=pl.when(is_end).then("reason").otherwise(between),
        )

    def _reason(self) -> pl.Expr:
        """Return why the best and the worst trace of a case make no pair, null if they do."""
        single = pl.when(pl.col("runs") == 1).then(pl.lit(str(DropReason.SINGLE_RUN)))
        if self.allow_ties:
            return single.otherwise(None)
        tied = single.when(pl.col("margin") <= 0).then(pl.lit(str(DropReason.TIED)))
        return tied.when(pl.col("margin") < self.min_margin).then(pl.lit(str(DropReason.SMALL_MARGIN))).otherwise(None)


def _sides(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row per case: `group` (the row of its first scored trace), `runs`, `chosen`, `rejected`, `margin`."""
    score, row = pl.col("score"), pl.col("row")
    return (
        rows.lazy()
        .filter(score.is_not_null())
        .group_by(CASE_KEY, maintain_order=True)
        .agg(
            group=row.first(),
            runs=pl.len(),
            chosen=row.filter(score == score.max()).first(),
            rejected=row.filter(score == score.min()).last(),
            margin=score.max() - score.min(),
        )
        .select("group", "runs", "chosen", "rejected", "margin")
        .collect()
    )
