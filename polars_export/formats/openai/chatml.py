"""OpenAI's supervised records: `messages` and `tools`, one conversation per trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.conversation import trainer_conversations
from polars_export.formats.dropped_content import count_dropped
from polars_export.formats.messages import ABSENT, message_lists, message_type, tools_column, tools_type
from polars_export.formats.rendered import Rendered
from polars_export.report import DropReason

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["ABSENT", "render", "schema"]


def schema(options: ExportOptions) -> pa.Schema:
    """Return the schema of a record: only the keys that are documented, so no metadata."""
    return pa.schema({"messages": pa.list_(message_type(options)), "tools": tools_type(options)})


def render(tables: Tables, options: ExportOptions) -> Rendered:
    """Return one record per trace; one with a call that is not answered once, or an answer to none, is left out."""
    answered = _answered(tables)
    kept = tables.filter(answered)
    conversations = trainer_conversations(kept, options)
    messages = message_lists(kept, conversations.messages, options)
    records = pa.table({"messages": messages, "tools": tools_column(kept)})
    lost = count_dropped(kept, options) | conversations.lost()
    rows = pl.int_range(len(tables), eager=True).filter(answered)
    return Rendered(records, rows, {DropReason.NOT_REPRESENTABLE: int((~answered).sum())}, lost)


def _answered(tables: Tables) -> pl.Series:
    """Return for each trace whether every call that something follows has one result, and every result a call."""
    owner = tables.trace_rows()
    final = tables.traces["final_response"].fill_null("").gather(owner)
    turns = tables.turns.select(
        calls=pl.col("tool_calls").list.eval(pl.element().struct.field("id")).list.sort(),
        results=pl.col("tool_results").list.eval(pl.element().struct.field("tool_call_id")).list.sort(),
        row=owner,
        last=pl.int_range(1, pl.len() + 1) == tables.traces["turns"].cum_sum().gather(owner),
        closes=final == "",
    )
    once = pl.col("calls").list.n_unique() == pl.col("calls").list.len()
    at_end = pl.col("last") & (pl.col("closes") | (pl.col("results").list.len() == 0))
    bad = turns.filter(~(at_end | ((pl.col("calls") == pl.col("results")) & once)))
    return ~pl.int_range(len(tables), eager=True).is_in(bad["row"].implode())
