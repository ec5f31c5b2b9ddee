"""Scores of traces and what they decide, as Polars expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from polars_export.options import ExportOptions

__all__ = ["qualifies", "score"]


def score() -> pl.Expr:
    """Return the score of a trace: its own if it brings one, else the mean of its metric values, 0.0 without metrics.

    The values are summed from left to right in double precision. A running sum does that; the sum of a list does not:
    it adds in several lanes, which changes the last bit.
    """
    values = pl.col("metrics").list.eval(pl.element().struct.field("value").cum_sum())
    mean = values.list.last() / pl.col("metrics").list.len()
    return pl.coalesce("recorded_score", mean, 0.0).alias("score")


def qualifies(options: ExportOptions) -> pl.Expr:
    """Return whether a trace's score reaches the quality threshold.

    The reference holds its threshold in single precision, so that a score of exactly 0.8 fails a threshold of 0.8.
    """
    threshold = pl.lit(options.quality_threshold)
    if options.target.single_precision:
        threshold = threshold.cast(pl.Float32).cast(pl.Float64)
    return pl.col("score") >= threshold
