"""Tables from the values of columns, gathered chunk by chunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import polars as pl
import pyarrow as pa

from polars_export.tables.columns import extend
from polars_export.tables.nested import arrow, lists, parent_rows, structs
from polars_export.tables.projection import Projection
from polars_export.tables.schema import TRACES, TURNS, polars_schema
from polars_export.tables.score import score
from polars_export.tables.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polars_export.tables.columns import Columns, Values

__all__ = ["TableBuilder"]


class TableBuilder:
    """Gathers the columns of chunks, and makes tables of them.

    Records are cheapest to take apart and to free just after they were decoded, while they are in the processor's
    cache; tables are cheapest to make of many traces.

    Args:
        projection: Which columns the tables have.
    """

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._traces: Values = {}
        self._turns: Values = {}

    def __len__(self) -> int:
        """Return the number of traces gathered."""
        return len(self._traces.get("case_id", ()))

    def add(self, columns: Columns) -> None:
        """Add the traces of a chunk."""
        extend(self._traces, columns.traces)
        extend(self._turns, columns.turns)

    def build(self, first_trace: int = 0) -> Tables:
        """Return the tables of the traces added since the last call, numbered from `first_trace` on."""
        traces, turns = self._traces, self._turns
        self._traces, self._turns = {}, {}
        lengths = pl.Series(traces["turns"], dtype=pl.UInt32)
        numbers = {"trace": pl.int_range(first_trace, first_trace + len(lengths), dtype=pl.UInt64, eager=True)}
        schema = polars_schema(TRACES, self._projection)
        recorded = {"recorded_score" if name == "score" else name: schema[name] for name in schema}
        scored = pl.DataFrame(_table(numbers, traces, recorded)).with_columns(score()).select(list(schema))
        if self._projection < Projection.RECORDS:
            return Tables(scored, pl.DataFrame())
        owner = parent_rows(lengths)
        known = {"trace": owner.cast(pl.UInt64) + first_trace}
        if self._projection is Projection.FULL:
            starts = (lengths.cum_sum() - lengths).gather(owner)
            known["turn"] = (pl.int_range(len(owner), dtype=pl.UInt32, eager=True) - starts).cast(pl.UInt32)
        return Tables(scored, pl.DataFrame(_table(known, turns, polars_schema(TURNS, self._projection))))


def _table(known: Mapping[str, pl.Series], values: Values, schema: Mapping[str, pl.DataType]) -> pa.Table:
    """Make a table of columns that are known and values for the others."""
    columns = {name: arrow(known[name]) if name in known else _column(name, values, schema[name]) for name in schema}
    return pa.table(columns)


def _column(name: str, values: Values, dtype: pl.DataType) -> pa.Array:
    """Make a column; `strict=False` skips a check of every value that decoding has made already."""
    if isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.Struct):
        fields = {
            field.name: cast("pl.DataType", field.dtype)
            for field in dtype.inner.fields
            if f"{name}.{field.name}" in values
        }
        items = {field: _column(f"{name}.{field}", values, kind) for field, kind in fields.items()}
        return lists(pl.Series(values[name], dtype=pl.UInt32), structs(items))
    return arrow(pl.Series(values[name], dtype=dtype, strict=False))
