"""Choose the best and the worst trace of every case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CASE", "pairs"]

CASE = ("eval_set_id", "case_id")
"""What makes two traces runs of one case."""


def pairs(traces: pl.LazyFrame, /, case: Sequence[str] = CASE) -> pl.LazyFrame:
    """Pair the best and the worst trace of every case.

    Args:
        traces: One row per qualifying trace, in input order, with `score` and the columns that tell the case.
        case: The names of these columns.

    Returns:
        One row per case, in the order in which the cases first appear: `first`, the row of its first trace; `runs`, the
        number of its traces; `chosen` (the first with the highest score) and `rejected` (the last with the lowest),
        rows of `traces`; and `margin`, how much higher the one scores than the other.
    """
    score, row = pl.col("score"), pl.col("row")
    return (
        traces.with_row_index("row")
        .group_by(case, maintain_order=True)
        .agg(
            first=row.first(),
            runs=pl.len(),
            chosen=row.filter(score == score.max()).first(),
            rejected=row.filter(score == score.min()).last(),
            margin=score.max() - score.min(),
        )
        .select("first", "runs", "chosen", "rejected", "margin")
    )
