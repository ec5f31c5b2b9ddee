"""The reference's DPO: the best and the worst conversation of a case as a preference pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.formats.dropped_content import count_dropped
from polars_export.formats.reference import chatml
from polars_export.formats.rendered import Rendered
from polars_export.tables.nested import arrow, structs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["ABSENT", "render", "schema"]

ABSENT = chatml.ABSENT


def schema(options: ExportOptions) -> pa.Schema:
    """Return the schema of a record: the case and two ChatML records whose keys are sorted at every depth."""
    side = _sorted_type(chatml.fields(options, _sorted_type))
    return pa.schema({"case_id": pa.string(), "chosen": side, "rejected": side})


def render(tables: Tables, options: ExportOptions) -> Rendered:
    """Return one record per pair; the traces stand chosen, rejected, chosen, rejected, and so on."""
    sides = pl.Series(_sorted_structs(chatml.columns(tables, options, _sorted_structs)))
    records = pa.table(
        {
            "case_id": arrow(tables.traces["case_id"].gather_every(2)),
            "chosen": arrow(sides.gather_every(2)),
            "rejected": arrow(sides.gather_every(2, offset=1)),
        }
    )
    rows = pl.int_range(0, len(tables), 2, eager=True)
    return Rendered(records, rows, dropped_content=count_dropped(tables, options))


def _sorted_type(fields: dict[str, pa.DataType]) -> pa.DataType:
    return pa.struct(dict(sorted(fields.items())))


def _sorted_structs(columns: Mapping[str, pa.Array]) -> pa.StructArray:
    return structs(dict(sorted(columns.items())))
