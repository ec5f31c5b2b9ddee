"""Choose the best and the worst trace of every case."""

from __future__ import annotations

import polars as pl

__all__ = ["CASE", "candidates", "pairs"]

CASE = ("eval_set_id", "case_id")
"""What makes two traces runs of one case."""


def candidates(traces: pl.LazyFrame, /) -> pl.LazyFrame:
    """Say of every qualifying trace whether it can be chosen or rejected.

    Args:
        traces: One row per qualifying trace, in input order, with `eval_set_id`, `case_id`, `score` and, where earlier
            traces of its case may have been dropped, `first_seen`.

    Returns:
        The rows in their order, with `best` (the first of its case with the highest score), `worst` (the last with the
        lowest), `runs` (the number of rows of the case) and `first_seen` (the number of the case's first trace ever).
    """
    place = pl.int_range(pl.len())
    highest, lowest = pl.col("score") == pl.col("score").max(), pl.col("score") == pl.col("score").min()
    return traces.with_columns(
        best=(place == place.filter(highest).first()).over(CASE),
        worst=(place == place.filter(lowest).last()).over(CASE),
        runs=pl.len().over(CASE),
        first_seen=pl.col("first_seen").min().over(CASE),
    )


def pairs(traces: pl.LazyFrame, /) -> pl.LazyFrame:
    """Pair the best and the worst trace of every case that has at least two.

    Args:
        traces: What `candidates` returns.

    Returns:
        One row per pair, in the order in which the cases first appeared: `chosen` and `rejected`, rows of `traces`, and
        `margin`, how much higher the one scores than the other.
    """
    rows = traces.with_row_index("row").filter(pl.col("runs") > 1)
    sides = rows.group_by("first_seen").agg(
        chosen=pl.col("row").filter("best").first(),
        rejected=pl.col("row").filter("worst").first(),
        margin=pl.col("score").max() - pl.col("score").min(),
    )
    return sides.sort("first_seen").select("chosen", "rejected", "margin")
