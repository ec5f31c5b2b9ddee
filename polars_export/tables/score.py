"""The score of a trace, as a Polars expression."""

from __future__ import annotations

import polars as pl

__all__ = ["score"]


def score() -> pl.Expr:
    """Return the score of a trace: the one that its source gives, else the mean of its metrics, null without any.

    The values are summed from left to right in double precision. A running sum does that; the sum of a list does not:
    it adds in several lanes, which changes the last bit.
    """
    values = pl.col("metrics").list.eval(pl.element().struct.field("value").cum_sum())
    mean = values.list.last() / pl.col("metrics").list.len()
    return pl.coalesce("recorded_score", mean).alias("score")
