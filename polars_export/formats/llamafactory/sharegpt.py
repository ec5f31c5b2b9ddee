"""LLaMA-Factory's supervised records: `conversations` in alternation, `system` and `tools`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from polars_export.formats.llamafactory.alternation import MESSAGE, alternate
from polars_export.formats.rendered import Rendered
from polars_export.tables.nested import arrow

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["ABSENT", "render", "schema"]

ABSENT: tuple[str, ...] = ()


def schema(options: ExportOptions) -> pa.Schema:  # noqa: ARG001 - the surface of a format
    """Return the schema of a record."""
    return pa.schema({"conversations": pa.list_(MESSAGE), "system": pa.string(), "tools": pa.string()})


def render(tables: Tables, options: ExportOptions) -> Rendered:
    """Return one record per trace; a conversation that breaks the alternation is dropped."""
    alternation = alternate(tables, options)
    keep = alternation.reasons.is_null()
    columns = {"conversations": alternation.all_messages(), "system": alternation.system, "tools": alternation.tools}
    records = pa.table({name: arrow(column.filter(keep)) for name, column in columns.items()})
    return Rendered(records, keep.arg_true(), alternation.reasons, alternation.dropped_content(tables, keep, options))
