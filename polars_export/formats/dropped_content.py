"""Count the content of traces that a record has no place for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from polars_export.choices import Reasoning
from polars_export.tables.projection import Projection

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["count_dropped"]

_REASONING = {"reasoning blocks": pl.col("thinking_blocks")}
_IGNORED_BY_SOME = {"tool results": pl.col("tool_result_count"), "tool calls": pl.col("tool_calls").list.len()}
_IGNORED_BY_ALL = {
    "images": pl.col("image_blocks"),
    "extensions": pl.col("extension_blocks"),
    "unknown blocks": pl.col("unknown_blocks"),
}


_RESULTS_ELSEWHERE = {"orphan results": pl.col("orphan_results"), "moved results": pl.col("moved_results")}


def count_dropped(tables: Tables, options: ExportOptions) -> dict[str, int]:
    """Return how many blocks, calls and results of the traces have no place in their records, by kind."""
    ignored = {kind: _IGNORED_BY_SOME[kind] for kind in options.target_format.ignores}
    kinds = (_REASONING if options.written_reasoning is Reasoning.DROP else {}) | ignored | _IGNORED_BY_ALL
    if options.target_format.projection >= Projection.CONVERSATIONS:
        kinds |= _RESULTS_ELSEWHERE
    sums = tables.turns.select(**{name: column.sum() for name, column in kinds.items()})
    found = {name: count for name, count in sums.row(0, named=True).items() if count}
    return found | _recorded(tables.traces) if "dropped" in tables.traces.columns else found


def _recorded(traces: pl.DataFrame) -> dict[str, int]:
    """Return what had no place in the tables already, by kind."""
    kinds = traces["dropped"].explode(empty_as_null=False, keep_nulls=False).struct.unnest()
    return dict(kinds.group_by("kind", maintain_order=True).agg(pl.col("count").sum()).rows())
