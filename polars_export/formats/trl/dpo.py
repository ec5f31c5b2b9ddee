"""TRL's preference pairs with an explicit prompt: the best and the worst completion of a case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.formats.messages import ABSENT
from polars_export.formats.pair_sides import different, for_both_sides
from polars_export.formats.rendered import Rendered, first_reason
from polars_export.formats.trl.columns import ConversationColumns, pair_metadata, pair_schema
from polars_export.report import DropReason
from polars_export.tables.nested import arrow

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["ABSENT", "render", "schema"]


def schema(options: ExportOptions) -> pa.Schema:
    """Return the schema of a record."""
    return pair_schema(options)


def render(tables: Tables, options: ExportOptions) -> Rendered:
    """Return one record per pair; the traces stand chosen, rejected, chosen, rejected, and so on.

    A pair of two equal completions teaches nothing: it is dropped.
    """
    completions = pl.Series(ConversationColumns(tables, options).completion())
    differ = different(completions)
    kept = tables.filter(for_both_sides(differ))
    available = ConversationColumns(kept, options)
    sides = pl.Series(available.completion())
    columns = {
        "prompt": arrow(pl.Series(available.prompt()).gather_every(2)),
        "chosen": arrow(sides.gather_every(2)),
        "rejected": arrow(sides.gather_every(2, offset=1)),
        "tools": arrow(pl.Series(available.tools()).gather_every(2)),
    }
    if options.include_metadata:
        columns["metadata"] = pair_metadata(kept.traces)
    rows = pl.int_range(0, len(tables), 2, eager=True).filter(differ)
    reasons = first_reason({DropReason.IDENTICAL: for_both_sides(~differ)})
    return Rendered(pa.table(columns), rows, reasons, available.dropped_content(has_prompt=True))
