"""A target of the tests' own, with one format: all that it takes is in this file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.choices import Reasoning
from polars_export.conversation import trainer_conversations
from polars_export.formats.dropped_content import count_dropped
from polars_export.formats.rendered import Rendered
from polars_export.targets import Format, Target

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["ABSENT", "PLAIN_TEXT", "render", "schema"]

PLAIN_TEXT = Target(
    name="plain-text",
    reasoning=(Reasoning.DROP,),
    metadata=False,
    formats=(
        Format(
            name="transcript",
            module=__name__,
            summary="the texts of a conversation",
            keys=("case", "transcript"),
            ignores=("tool calls",),
        ),
    ),
)

ABSENT: tuple[str, ...] = ()


def schema(_options: ExportOptions) -> pa.Schema:
    """Return the schema of a record."""
    return pa.schema({"case": pa.string(), "transcript": pa.string()})


def render(tables: Tables, options: ExportOptions) -> Rendered:
    """Return one record per trace: its messages' texts, one a line."""
    messages = trainer_conversations(tables, options).messages
    texts = messages.group_by("row", maintain_order=True).agg(transcript=pl.col("content").str.join("\n"))
    records = pa.table({"case": tables.traces["case_id"].to_arrow(), "transcript": texts["transcript"].to_arrow()})
    rows = pl.int_range(len(tables), eager=True)
    return Rendered(records, rows, dropped_content=count_dropped(tables, options))
