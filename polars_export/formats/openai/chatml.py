"""OpenAI's supervised records: `messages` and `tools`, one conversation per trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.conversation import trainer_conversations
from polars_export.formats.content import REASONING, count_lost
from polars_export.formats.messages import ABSENT, message_lists, message_type, tools_column, tools_type
from polars_export.formats.rendered import Rendered

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.tables import Tables

__all__ = ["ABSENT", "render", "schema"]


def schema(options: ExportOptions) -> pa.Schema:
    """Return the schema of a record: only the keys that are documented, so no metadata."""
    return pa.schema({"messages": pa.list_(message_type(options)), "tools": tools_type(options)})


def render(tables: Tables, options: ExportOptions) -> Rendered:
    """Return one record per trace."""
    conversations = trainer_conversations(tables, options)
    messages = message_lists(tables, conversations.messages, options)
    records = pa.table({"messages": messages, "tools": tools_column(tables)})
    lost = count_lost(tables, **REASONING) | conversations.lost()
    return Rendered(records, pl.int_range(len(tables), eager=True), not_carried=lost)
