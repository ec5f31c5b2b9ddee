"""Messages with native tool calls, as trl and openai share them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.choices import Arguments, Reasoning
from polars_export.tables.nested import arrow, lists, structs

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["ABSENT", "json_type", "message_lists", "message_type", "tools_column", "tools_type"]

ABSENT = ("content", "reasoning_content", "tool_calls", "tool_call_id", "name", "tools")
"""Keys that JSON leaves out where they are null, but for `weight`."""

_ROLES = pl.Series(["system", "user", "assistant", "tool"])  # by the number of the role


def json_type(options: ExportOptions) -> pa.DataType:
    """Return the type of a JSON value: `arrow.json`, which loads as an object, or a plain string for old readers."""
    return pa.string() if options.arguments is Arguments.STRING else pa.json_()


def tools_type(options: ExportOptions) -> pa.DataType:
    """Return the type of the column `tools`: a list of function schemas."""
    return pa.list_(json_type(options))


def message_type(options: ExportOptions) -> pa.DataType:
    """Return the type of a message."""
    arguments = json_type(options) if Arguments.OBJECT in options.target.arguments else pa.string()
    function = pa.struct({"name": pa.string(), "arguments": arguments})
    call = pa.struct({"id": pa.string(), "type": pa.string(), "function": function})
    fields = {"role": pa.string(), "content": pa.string()}
    if _has_reasoning(options):
        fields["reasoning_content"] = pa.string()
    fields |= {"tool_calls": pa.list_(call), "tool_call_id": pa.string()}
    if options.target.tool_names:
        fields["name"] = pa.string()
    if options.writes_weights:
        fields["weight"] = pa.int64()
    return pa.struct(fields)


def message_lists(
    tables: Tables, messages: pl.DataFrame, options: ExportOptions, rows: pl.Series | None = None
) -> pa.ListArray:
    """Return the messages of traces, an empty list where one has none of these.

    Args:
        tables: The traces.
        messages: Rows of `Conversations.messages`: all, or some.
        options: Say which fields a message has.
        rows: The rows of the traces in ascending order, to which the messages belong; by default all traces.
    """
    calls = _tool_calls(tables, messages["turn"])
    content = messages["content"]
    if not options.target.empty_content:
        silent = (content == "") & pl.Series(calls.is_valid())
        content = messages.select(pl.when(silent).then(None).otherwise("content").alias("content")).to_series()
    fields = {"role": arrow(_ROLES.gather(messages["role"])), "content": arrow(content)}
    if _has_reasoning(options):
        fields["reasoning_content"] = arrow(messages["reasoning"])
    fields |= {"tool_calls": calls, "tool_call_id": arrow(messages["tool_call_id"])}
    if options.target.tool_names:
        fields["name"] = arrow(messages["name"])
    if options.writes_weights:
        weight = pl.when("context").then(pl.lit(0, pl.Int64)).alias("weight")
        fields["weight"] = arrow(messages.select(weight).to_series())
    counts = messages.group_by("row").len()
    owners = pl.int_range(len(tables), eager=True) if rows is None else rows
    lengths = owners.to_frame("row").join(counts, on="row", how="left", maintain_order="left")["len"]
    return lists(lengths.fill_null(0), structs(fields))


def tools_column(tables: Tables, rows: pl.Series | None = None) -> pa.Array:
    """Return the function schemas of the traces of some rows, by default of all; null where there are none."""
    tools = tables.traces["tools"] if rows is None else tables.traces["tools"].gather(rows)
    return lists(
        tools.list.len().fill_null(0), arrow(tools.explode(empty_as_null=False).drop_nulls()), empty_is_null=True
    )


def _has_reasoning(options: ExportOptions) -> bool:
    return options.written_reasoning is Reasoning.FIELD


def _tool_calls(tables: Tables, turn_of_message: pl.Series) -> pa.ListArray:
    """Return the calls of every message, null where it makes none."""
    calls = tables.turns["tool_calls"].gather(turn_of_message)
    call = calls.drop_nulls().explode(empty_as_null=False).struct
    function = structs({"name": arrow(call.field("name")), "arguments": arrow(call.field("arguments"))})
    kind = arrow(pl.repeat("function", len(function), dtype=pl.String, eager=True))
    made = structs({"id": arrow(call.field("id")), "type": kind, "function": function})
    return lists(calls.list.len().fill_null(0), made, empty_is_null=True)
