"""TRL's preference pairs with an explicit prompt: the best and the worst completion of a case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.formats.dropped_content import count_dropped
from polars_export.formats.messages import ABSENT, tools_column
from polars_export.formats.pair_sides import for_both_sides, pair_sides
from polars_export.formats.rendered import Rendered, first_reason
from polars_export.formats.trl.columns import pair_metadata, pair_schema

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["ABSENT", "render", "schema"]


def schema(options: ExportOptions) -> pa.Schema:
    """Return the schema of a record."""
    return pair_schema(options)


def render(tables: Tables, options: ExportOptions) -> Rendered:
    """Return one record per pair; the traces stand chosen, rejected, chosen, rejected, and so on.

    A pair whose sides share no prompt is dropped, and one of two equal completions, which teaches nothing.
    """
    sides = pair_sides(tables, options)
    reason = first_reason(sides.reasons())
    reasons = for_both_sides(reason)
    chosen = pl.int_range(0, len(tables), 2, eager=True).filter(reason.is_null())
    columns = {
        "prompt": sides.prompts(chosen),
        "chosen": sides.completions(chosen),
        "rejected": sides.completions(chosen + 1),
        "tools": tools_column(tables, chosen),
    }
    kept = reasons.is_null()
    if options.include_metadata:
        columns["metadata"] = pair_metadata(tables.traces.filter(kept))
    dropped_content = count_dropped(tables.filter(kept), options)
    dropped_content |= sides.dropped_content(kept) | sides.context_to_learn(kept)
    return Rendered(pa.table(columns), chosen, reasons, dropped_content)
