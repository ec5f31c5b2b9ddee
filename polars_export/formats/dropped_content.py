"""Count the content of traces that a record has no place for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from polars_export.tables.tables import Tables

__all__ = ["CALLS", "REASONING", "RESULTS", "count_dropped"]

CALLS = {"tool calls": pl.col("tool_calls").list.len()}
REASONING = {"reasoning blocks": pl.col("thinking_blocks")}
RESULTS = {"tool results": pl.col("tool_result_count")}
_NOWHERE = {
    "images": pl.col("image_blocks"),
    "extensions": pl.col("extension_blocks"),
    "unknown blocks": pl.col("unknown_blocks"),
}


_RESULTS_ELSEWHERE = {"orphan results": pl.col("orphan_results"), "moved results": pl.col("moved_results")}


def count_dropped(tables: Tables, **kinds: pl.Expr) -> dict[str, int]:
    """Return how many images, extensions and unknown blocks the traces hold, and how much of the kinds given."""
    counted = kinds | _NOWHERE
    if "orphan_results" in tables.turns.columns:
        counted |= _RESULTS_ELSEWHERE
    sums = tables.turns.select(**{name: column.sum() for name, column in counted.items()})
    return {name: count for name, count in sums.row(0, named=True).items() if count}
