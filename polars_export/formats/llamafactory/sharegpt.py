"""LLaMA-Factory's supervised records: `conversations` in alternation, `system` and `tools`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.conversation import trainer_conversations
from polars_export.formats.dropped_content import count_dropped
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
    conversations = trainer_conversations(tables, options)
    alternation = alternate(tables, conversations.messages)
    keep = alternation.reasons.is_null()
    columns = {"conversations": alternation.all_messages(), "system": alternation.system, "tools": alternation.tools}
    records = pa.table({name: arrow(column.filter(keep)) for name, column in columns.items()})
    dropped_content = count_dropped(tables.filter(keep), options) | conversations.dropped_content(keep)
    dropped_content |= alternation.dropped_content(keep, _learned(options))
    return Rendered(records, keep.arg_true(), alternation.reasons, dropped_content)


def _learned(options: ExportOptions) -> pl.Expr:
    """Return which messages are learned from: all, or where a record has a label the last one, its completion."""
    return pl.col("row") != pl.col("row").shift(-1, fill_value=-1) if options.target_format.labelled else pl.lit(True)
