"""OpenAI's supervised records: `messages` and `tools`, one conversation per trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from polars_export.conversation import trainer_conversations
from polars_export.formats.dropped_content import count_dropped
from polars_export.formats.messages import ABSENT as OF_MESSAGES
from polars_export.formats.messages import message_lists, message_type, tools_column, tools_type
from polars_export.formats.openai.answered_calls import broken_call_rules, is_followed
from polars_export.formats.rendered import Rendered

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
    reasons = broken_call_rules(tables, is_followed(tables))
    kept = tables.filter(reasons.is_null())
    conversations = trainer_conversations(kept, options)
    messages = message_lists(kept, conversations.messages, options)
    records = pa.table({"messages": messages, "tools": tools_column(kept)})
    unmarked = {} if options.writes_weights else conversations.unmarked_context()
    dropped_content = count_dropped(kept, options) | conversations.dropped_content() | unmarked
    return Rendered(records, reasons.is_null().arg_true(), reasons, dropped_content)
