"""Tables to blocks: row groups of `traces`, and for each of them one of `turns`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.tables.projection import Projection
from polars_export.tables.schema import TRACES, TURNS, polars_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from polars_export.tables.tables import Tables

__all__ = ["SCHEMAS", "row_groups"]

_MOST_TRACES = 1_000  # of a row group: some ten megabytes of turns, which a viewer can fetch to show one of them


def _arrow_type(dtype: pl.DataType) -> pa.DataType:
    """Return the Arrow type of a column as files have it, with the plain strings and lists that every reader knows."""
    if isinstance(dtype, pl.List):
        return pa.list_(_arrow_type(dtype.inner))  # type: ignore[arg-type] # of instances
    if isinstance(dtype, pl.Struct):
        return pa.struct({field.name: _arrow_type(field.dtype) for field in dtype.fields})  # type: ignore[arg-type]
    if isinstance(dtype, pl.String):
        return pa.string()
    return pl.Series(dtype=dtype).to_arrow().type


SCHEMAS: Mapping[str, pa.Schema] = {
    name: pa.schema({column: _arrow_type(dtype) for column, dtype in polars_schema(columns, Projection.FULL).items()})
    for name, columns in (("traces", TRACES), ("turns", TURNS))
}
"""The schema of each table as files have it."""


def row_groups(tables: Tables) -> Iterator[tuple[str, pa.Table]]:
    """Yield the row groups of tables, each with the name of its table: traces, then their turns, and so on."""
    for start in range(0, len(tables), _MOST_TRACES):
        rows = pl.int_range(start, min(start + _MOST_TRACES, len(tables)), dtype=pl.UInt32, eager=True)
        group = tables.take(rows)
        yield "traces", _arrow(group.traces, SCHEMAS["traces"])
        yield "turns", _arrow(group.turns, SCHEMAS["turns"])


def _arrow(frame: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    return frame.select(schema.names).to_arrow().cast(schema)
