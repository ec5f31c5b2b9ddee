"""What the records for TRL have in common: messages, prompt and completion, tools and metadata."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.choices import MissingPrompt
from polars_export.conversation import trainer_conversations
from polars_export.formats.dropped_content import count_dropped
from polars_export.formats.messages import message_lists, message_type, tools_column, tools_type
from polars_export.formats.rendered import Rendered
from polars_export.report import DropReason
from polars_export.tables.nested import arrow, structs

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["ConversationColumns", "one_per_trace", "pair_metadata", "pair_schema", "trace_schema"]

_CASE_METADATA = {"case_id": pa.string(), "eval_set_id": pa.string()}
_RUN_METADATA = {"run": pa.string(), "score": pa.float64(), "model_id": pa.string()}
_METADATA = {**_CASE_METADATA, **_RUN_METADATA, "turns": pa.int64()}
_SIDES = ("chosen", "rejected")
_PAIR_METADATA = _CASE_METADATA | {f"{side}_{name}": kind for name, kind in _RUN_METADATA.items() for side in _SIDES}


class ConversationColumns:
    """The columns that records are made of, from the conversations of traces; each has one element per trace."""

    def __init__(self, tables: Tables, options: ExportOptions) -> None:
        self._tables = tables
        self._options = options
        self._conversations = trainer_conversations(tables, options)

    def messages(self) -> pa.Array:
        """Return whole conversations."""
        return message_lists(self._tables, self._conversations.messages, self._options)

    def reasons(self) -> dict[DropReason, pl.Series]:
        """Return for each trace whether it has no prompt and completion, by the reasons for it.

        A trace may lack what was asked for, where traces without a user's message are kept; what it must have is a
        message of the agent.
        """
        asked, first = self._starts
        unasked = {} if self._options.missing_prompt is MissingPrompt.KEEP else {DropReason.MISSING_PROMPT: asked}
        return {reason: starts.is_null() for reason, starts in ({DropReason.NO_ANSWER: first} | unasked).items()}

    def among(self, kept: pl.Series) -> ConversationColumns:
        """Return the columns of the traces for which `kept` is true."""
        return self if kept.all() else ConversationColumns(self._tables.filter(kept), self._options)

    def prompt(self) -> pa.Array:
        """Return the messages before the completion."""
        return self._lists(~self._in_completion)

    def completion(self) -> pa.Array:
        """Return the messages from the completion's first on; see `Conversations.completion_starts`."""
        return self._lists(self._in_completion)

    def tools(self) -> pa.Array:
        """Return the function schemas, null where there are none."""
        return tools_column(self._tables)

    def dropped_content(self, *, has_prompt: bool) -> dict[str, int]:
        """Count the content that the records cannot carry; where one has a prompt, only the rest is learned from."""
        conversations = self._conversations
        learned = self._in_completion if has_prompt and conversations.messages["context"].any() else None
        dropped = conversations.dropped_content() | conversations.unmarked_context(learned)
        return count_dropped(self._tables, self._options) | dropped

    @cached_property
    def _starts(self) -> tuple[pl.Series, pl.Series]:
        return self._conversations.completion_starts(len(self._tables))

    @cached_property
    def _in_completion(self) -> pl.Series:
        asked, first = self._starts
        start = asked.zip_with(asked.is_not_null(), first)
        owner = self._conversations.messages["row"]
        return (pl.int_range(len(owner), eager=True) >= start.gather(owner)).fill_null(value=False)

    def _lists(self, keep: pl.Series) -> pa.Array:
        return message_lists(self._tables, self._conversations.messages.filter(keep), self._options)


def trace_schema(options: ExportOptions, lists: tuple[str, ...], **more: pa.DataType) -> pa.Schema:
    """Return the schema of a record of one trace: lists of messages, further fields, `tools` and `metadata`."""
    return _schema(options, lists, more, _METADATA)


def pair_schema(options: ExportOptions) -> pa.Schema:
    """Return the schema of a preference pair."""
    return _schema(options, ("prompt", "chosen", "rejected"), {}, _PAIR_METADATA)


def pair_metadata(traces: pl.DataFrame) -> pa.StructArray:
    """Return the metadata of pairs; the traces stand chosen, rejected, chosen, rejected, and so on."""
    columns = {name: arrow(traces[name].gather_every(2)) for name in _CASE_METADATA}
    for name in _RUN_METADATA:
        for offset, side in enumerate(_SIDES):
            columns[f"{side}_{name}"] = arrow(traces[name].gather_every(2, offset))
    return structs(columns)


def _schema(
    options: ExportOptions, lists: tuple[str, ...], more: dict[str, pa.DataType], metadata: dict[str, pa.DataType]
) -> pa.Schema:
    fields = dict.fromkeys(lists, pa.list_(message_type(options))) | more | {"tools": tools_type(options)}
    return pa.schema(fields | {"metadata": pa.struct(metadata)} if options.include_metadata else fields)


def one_per_trace(
    tables: Tables, options: ExportOptions, available: ConversationColumns, columns: dict[str, pa.Array]
) -> Rendered:
    """Return one record per trace: some columns, `tools` and `metadata`."""
    columns = columns | {"tools": available.tools()}
    if options.include_metadata:
        columns["metadata"] = structs({name: arrow(tables.traces[name]) for name in _METADATA})
    dropped = available.dropped_content(has_prompt="prompt" in columns)
    return Rendered(pa.table(columns), pl.int_range(len(tables), eager=True), dropped_content=dropped)
