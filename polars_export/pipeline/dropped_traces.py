"""Count the traces that leave, by reason, with an example of each."""

from __future__ import annotations

import polars as pl

from polars_export.pipeline.counters import Counters
from polars_export.selection.rule import CASE

__all__ = ["count_dropped_traces"]


def count_dropped_traces(traces: pl.DataFrame, reasons: pl.Series) -> Counters:
    """Return how many traces leave for each reason, and the first case of each; who stays has no reason."""
    counters = Counters()
    if reasons.null_count() == len(reasons):
        return counters
    left = traces.select(CASE).with_columns(reasons.alias("reason")).drop_nulls("reason")
    counts = left.group_by("reason", maintain_order=True).agg(pl.len(), pl.col(CASE).first())
    for reason, count, eval_set, case in counts.rows():
        counters.drop(reason, count, (eval_set, case))
    return counters
