"""OpenAI's supervised records: `messages` and `tools`, one conversation per trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.conversation import trainer_conversations
from polars_export.formats.dropped_content import count_dropped
from polars_export.formats.messages import ABSENT as OF_MESSAGES
from polars_export.formats.messages import message_lists, message_type, tools_column, tools_type
from polars_export.formats.rendered import Rendered, first_reason
from polars_export.report import DropReason

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["ABSENT", "render", "schema"]

ABSENT = (*OF_MESSAGES, "weight")


def schema(options: ExportOptions) -> pa.Schema:
    """Return the schema of a record: only the keys that are documented, so no metadata."""
    return pa.schema({"messages": pa.list_(message_type(options)), "tools": tools_type(options)})


def render(tables: Tables, options: ExportOptions) -> Rendered:
    """Return one record per trace; a trace with a call that is not answered exactly once is dropped."""
    reasons = _reasons(tables)
    kept = tables.filter(reasons.is_null())
    conversations = trainer_conversations(kept, options)
    messages = message_lists(kept, conversations.messages, options)
    records = pa.table({"messages": messages, "tools": tools_column(kept)})
    unmarked = {} if options.writes_weights else conversations.unmarked_context()
    dropped_content = count_dropped(kept, options) | conversations.dropped_content() | unmarked
    return Rendered(records, reasons.is_null().arg_true(), reasons, dropped_content)


def _reasons(tables: Tables) -> pl.Series:
    """Return for each trace why it is dropped: a call that something follows does not have exactly one result."""
    owner = tables.trace_rows()
    final = tables.traces["final_response"].fill_null("").gather(owner)
    turns = tables.turns.select(
        calls=pl.col("tool_calls").list.eval(pl.element().struct.field("id")).list.sort(),
        results=pl.col("tool_results").list.eval(pl.element().struct.field("tool_call_id")).list.sort(),
        row=owner,
        last=pl.int_range(1, pl.len() + 1) == tables.traces["turns"].cum_sum().gather(owner),
        closes=final == "",
    )
    calls, results = pl.col("calls"), pl.col("results")
    at_end = pl.col("last") & (pl.col("closes") | (results.list.len() == 0))
    problems = {
        DropReason.UNANSWERED_CALL: calls.list.set_difference(results).list.len() > 0,
        DropReason.REPEATED_CALL_ID: calls.list.n_unique() < calls.list.len(),
        DropReason.REPEATED_RESULT: calls != results,
    }
    followed = turns.filter(~at_end).select("row", **problems)
    rows = pl.int_range(len(tables), eager=True)
    return first_reason({reason: rows.is_in(followed.filter(pl.col(reason))["row"].implode()) for reason in problems})
