"""The reference's ChatML: one conversation per trace, as messages with native tool calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.conversation import reference_conversations
from polars_export.formats.dropped_content import count_dropped
from polars_export.formats.rendered import Rendered
from polars_export.tables.nested import arrow, lists, structs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["ABSENT", "columns", "fields", "render", "schema"]

ABSENT = ("tool_calls",)

_ROLES = pl.Series(["system", "user", "assistant"])  # by the number of the role


def schema(options: ExportOptions) -> pa.Schema:
    """Return the schema of a record: `messages` and, if asked for, `metadata`."""
    return pa.schema(fields(options, pa.struct))


def render(tables: Tables, options: ExportOptions) -> Rendered:
    """Return one record per trace."""
    records = pa.table(columns(tables, options, structs))
    rows = pl.int_range(len(tables), eager=True)
    return Rendered(records, rows, dropped_content=count_dropped(tables, options))


def fields(options: ExportOptions, struct: Callable[[dict[str, pa.DataType]], pa.DataType]) -> dict[str, pa.DataType]:
    """Return the types of a record's fields, `struct` deciding on the order of the keys inside."""
    function = struct({"name": pa.string(), "arguments": pa.string()})
    call = struct({"id": pa.string(), "type": pa.string(), "function": function})
    message = struct({"role": pa.string(), "content": pa.string(), "tool_calls": pa.list_(call)})
    metadata = struct({"case_id": pa.string(), "score": pa.float64(), "model_id": pa.string(), "turns": pa.int64()})
    record = {"messages": pa.list_(message)}
    return record | {"metadata": metadata} if options.include_metadata else record


def columns(
    tables: Tables, options: ExportOptions, struct: Callable[[Mapping[str, pa.Array]], pa.Array]
) -> dict[str, pa.Array]:
    """Return the columns of the records of some traces, `struct` deciding on the order of the keys inside."""
    conversations = reference_conversations(tables)
    messages = conversations.messages
    message = struct(
        {
            "role": arrow(_ROLES.gather(messages["role"])),
            "content": arrow(messages["content"]),
            "tool_calls": _tool_calls(tables, messages["turn"], struct),
        }
    )
    record = {"messages": lists(conversations.lengths, message)}
    if not options.include_metadata:
        return record
    metadata = ("case_id", "score", "model_id", "turns")
    return record | {"metadata": struct({name: arrow(tables.traces[name]) for name in metadata})}


def _tool_calls(
    tables: Tables, turn_of_message: pl.Series, struct: Callable[[Mapping[str, pa.Array]], pa.Array]
) -> pa.ListArray:
    """Return the calls of every message, null where it makes none; turns keep their order."""
    calls = tables.turns["tool_calls"]
    lengths = calls.list.len().gather(turn_of_message).fill_null(0)
    call = calls.explode(empty_as_null=False).struct
    function = struct({"name": arrow(call.field("name")), "arguments": arrow(call.field("arguments"))})
    kind = arrow(pl.repeat("function", len(function), dtype=pl.String, eager=True))
    return lists(
        lengths, struct({"id": arrow(call.field("id")), "type": kind, "function": function}), empty_is_null=True
    )
