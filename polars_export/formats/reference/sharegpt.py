"""The reference's ShareGPT: one conversation per trace, as `from` and `value`, without tool calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.conversation import reference_conversations
from polars_export.formats.dropped_content import count_dropped
from polars_export.formats.rendered import Rendered
from polars_export.tables.nested import arrow, lists, structs

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["ABSENT", "render", "schema"]

ABSENT: tuple[str, ...] = ()

_SPEAKERS = pl.Series(["system", "human", "gpt"])  # by the number of the role
_MESSAGE = pa.struct({"from": pa.string(), "value": pa.string()})
_METADATA = pa.struct({"case_id": pa.string(), "score": pa.float64()})


def schema(options: ExportOptions) -> pa.Schema:
    """Return the schema of a record: `conversations` and, if asked for, `metadata`."""
    record = {"conversations": pa.list_(_MESSAGE)}
    return pa.schema(record | {"metadata": _METADATA} if options.include_metadata else record)


def render(tables: Tables, options: ExportOptions) -> Rendered:
    """Return one record per trace."""
    conversations = reference_conversations(tables)
    messages = conversations.messages
    message = {"from": arrow(_SPEAKERS.gather(messages["role"])), "value": arrow(messages["content"])}
    record = {"conversations": lists(conversations.lengths, structs(message))}
    if options.include_metadata:
        record["metadata"] = structs({name: arrow(tables.traces[name]) for name in ("case_id", "score")})
    rows = pl.int_range(len(tables), eager=True)
    return Rendered(pa.table(record), rows, dropped_content=count_dropped(tables, options))
