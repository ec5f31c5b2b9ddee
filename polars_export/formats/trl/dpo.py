"""TRL's preference pairs with an explicit prompt: the best and the worst completion of a case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.formats.messages import ABSENT
from polars_export.formats.pair_sides import different
from polars_export.formats.rendered import Rendered
from polars_export.formats.trl.parts import ConversationColumns, pair_schema
from polars_export.report import DropReason
from polars_export.tables.nested import arrow, structs

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["ABSENT", "render", "schema"]


def schema(options: ExportOptions) -> pa.Schema:
    """Return the schema of a record."""
    return pair_schema(options)


def render(tables: Tables, options: ExportOptions) -> Rendered:
    """Return one record per pair; the traces stand chosen, rejected, chosen, rejected, and so on.

    A pair of two equal completions teaches nothing: it is left out.
    """
    completions = pl.Series(ConversationColumns(tables, options).completion())
    differ = different(completions)
    dropped = {DropReason.IDENTICAL: 2 * int((~differ).sum())}
    kept = tables.filter(differ.gather(pl.int_range(len(tables), eager=True) // 2))
    parts = ConversationColumns(kept, options)
    sides, chosen, rejected = pl.Series(parts.completion()), kept.traces[::2], kept.traces[1::2]
    columns = {
        "prompt": arrow(pl.Series(parts.prompt()).gather_every(2)),
        "chosen": arrow(sides.gather_every(2)),
        "rejected": arrow(sides.gather_every(2, offset=1)),
        "tools": arrow(pl.Series(parts.tools()).gather_every(2)),
    }
    if options.include_metadata:
        columns["metadata"] = structs(
            {
                "case_id": arrow(chosen["case_id"]),
                "chosen_score": arrow(chosen["score"]),
                "rejected_score": arrow(rejected["score"]),
                "chosen_model_id": arrow(chosen["model_id"]),
                "rejected_model_id": arrow(rejected["model_id"]),
            }
        )
    rows = pl.int_range(0, len(tables), 2, eager=True).filter(differ)
    return Rendered(pa.table(columns), rows, dropped, parts.dropped_content())
