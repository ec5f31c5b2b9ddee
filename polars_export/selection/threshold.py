"""Keep the traces whose score reaches a threshold."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from polars_export.report import DropReason
from polars_export.selection.rule import Scope, decide_each

__all__ = ["Threshold"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """Keeps the traces that score at least so much; a trace without a score leaves.

    Attributes:
        threshold: The least score.
        single_precision: Whether the threshold is rounded to single precision first, as the reference does: a score of
            exactly 0.8 fails its threshold of 0.8.
    """

    threshold: float
    single_precision: bool = False

    columns = ("score",)
    scope = Scope.TRACE

    def select(self, traces: pl.DataFrame, /) -> pl.DataFrame:
        """Decide on traces; see `Rule.select`."""
        threshold = pl.lit(self.threshold)
        if self.single_precision:
            threshold = threshold.cast(pl.Float32).cast(pl.Float64)
        score = pl.col("score")
        return decide_each(
            traces, {DropReason.UNSCORED: score.is_null(), DropReason.BELOW_THRESHOLD: score < threshold}
        )
