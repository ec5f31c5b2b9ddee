"""Conversations as LLaMA-Factory reads them: human or observation, then gpt or function_call, in strict alternation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.conversation import UNMARKED_CONTEXT, Role
from polars_export.formats.rendered import first_reason
from polars_export.report import DropReason
from polars_export.tables.nested import arrow, first_of_each, lists, structs

if TYPE_CHECKING:
    from polars_export.tables.tables import Tables

__all__ = ["MESSAGE", "Alternation", "alternate"]

MESSAGE = pa.struct({"from": pa.string(), "value": pa.string()})

_SENDERS = pl.Series(["human", "observation", "gpt", "function_call"])
_HUMAN, _OBSERVATION, _GPT, _FUNCTION_CALL = range(4)


@dataclass(frozen=True, slots=True)
class Alternation:
    """The conversations of traces, merged so that the two sides take turns.

    Attributes:
        messages: One row per message: `row` (of its trace), `from`, `value`, `is_assistant`, and what it was merged
            of: `dropped_texts` (texts beside calls, which it cannot hold), `adjacent_calls` (whether it was several
            messages of the assistant, tool calls among them), `context` (the number of context messages) and
            `in_completion` (whether one of them stands in the completion of a pair).
        reasons: For each trace why it has no record, null if it has one.
        system: For each trace its system prompt, empty without one.
        tools: For each trace its function schemas as the text of a JSON array, empty without any.
    """

    messages: pl.DataFrame
    reasons: pl.Series
    system: pl.Series
    tools: pl.Series

    def all_messages(self) -> pl.Series:
        """Return for each trace all of its messages."""
        return self._lists(self.messages)

    def prompts(self) -> pl.Series:
        """Return for each side of a pair the messages before its completion."""
        return self._lists(self.messages.filter(~pl.col("in_completion")))

    def completions(self) -> pl.Series:
        """Return for each side of a pair its completion."""
        return self._lists(self.messages.filter("in_completion"))

    def dropped_content(self, kept: pl.Series, learned: pl.Expr) -> dict[str, int]:
        """Count the content that the records cannot carry, of the traces for which `kept` is true.

        Args:
            kept: Whether a trace has a record.
            learned: Which messages are learned from: context among them cannot be marked.
        """
        sums = self.messages.with_columns(pl.when(learned).then("context").otherwise(0)).filter(
            kept.gather(self.messages["row"])
        )
        texts, context = sums.select(pl.col("dropped_texts", "context").sum()).row(0)
        counts = {"texts beside calls": texts, UNMARKED_CONTEXT: context}
        return {kind: count for kind, count in counts.items() if count}

    def _lists(self, messages: pl.DataFrame) -> pl.Series:
        counts = messages.group_by("row").len()
        rows = pl.select(row=pl.int_range(len(self.system)))
        lengths = rows.join(counts, on="row", how="left", maintain_order="left")["len"].fill_null(0)
        return pl.Series(lists(lengths, structs({"from": arrow(messages["from"]), "value": arrow(messages["value"])})))


def alternate(tables: Tables, messages: pl.DataFrame) -> Alternation:
    """Merge messages of one side that follow each other, in the conversations of traces.

    Texts, and the results of one turn, are joined with a blank line between. Calls become one `function_call`, a JSON
    array of name and arguments; texts beside them have no place. System messages at the beginning are the system
    prompt.

    Args:
        tables: The traces.
        messages: Rows of `Conversations.messages`; of pairs those of `PairSides.messages`.
    """
    merged = _merged(tables, messages)
    return Alternation(
        merged, _reasons(merged, messages, len(tables)), _system(messages, len(tables)), _tools(tables.traces)
    )


def _merged(tables: Tables, messages: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `Alternation.messages`."""
    if "in_completion" not in messages.columns:
        messages = messages.with_columns(in_completion=pl.lit(value=False))
    messages = messages.filter(pl.col("role") != int(Role.SYSTEM))
    messages = messages.with_columns(
        calls=_calls(tables).gather(messages["turn"]), is_assistant=pl.col("role") == int(Role.ASSISTANT)
    )
    text = pl.col("content").filter(pl.col("content") != "")
    calls = pl.col("calls").drop_nulls()
    merged = (
        messages.group_by(pl.struct("row", "is_assistant").rle_id().alias("side"), maintain_order=True)
        .agg(
            pl.col("row", "is_assistant").first(),
            text=text.str.join("\n\n"),
            texts=text.len(),
            calls=calls.str.join(","),
            has_calls=calls.len() > 0,
            has_results=(pl.col("role") == int(Role.TOOL)).any(),
            count=pl.len(),
            context=pl.col("context").sum(),
            in_completion=pl.col("in_completion").any(),
        )
        .with_columns(pl.col("has_calls") & pl.col("is_assistant"))
    )
    sender = (
        pl.when("has_calls").then(_FUNCTION_CALL).when("is_assistant").then(_GPT).when("has_results").then(_OBSERVATION)
    ).otherwise(_HUMAN)
    return merged.select(
        "row",
        "is_assistant",
        _SENDERS.gather(merged.select(sender.alias("from")).to_series()).alias("from"),
        "context",
        "in_completion",
        value=pl.when("has_calls").then(pl.format("[{}]", "calls")).otherwise("text"),
        dropped_texts=pl.when("has_calls").then("texts").otherwise(0),
        adjacent_calls=pl.col("has_calls") & (pl.col("count") > 1),
    )


def _reasons(merged: pl.DataFrame, messages: pl.DataFrame, traces: int) -> pl.Series:
    """Return for each trace why it has no record: LLaMA-Factory's rules for a conversation, null if it keeps them."""
    inside = messages["row"].filter((messages["role"] == int(Role.SYSTEM)) & ~_opens(messages, traces))
    broken_rules = merged.group_by("row", maintain_order=True).agg(
        starts_with_assistant=pl.col("from").first() != "human",
        adjacent_tool_calls=pl.col("adjacent_calls").any(),
        empty_last_message=pl.col("value").last() == "",
    )
    rows = pl.select(row=pl.int_range(traces)).join(broken_rules, on="row", how="left", maintain_order="left")
    return first_reason(
        {
            DropReason.NO_ANSWER: rows["starts_with_assistant"].is_null(),  # no message at all
            DropReason.SYSTEM_MESSAGE_INSIDE: rows["row"].is_in(inside.implode()),
            DropReason.STARTS_WITH_ASSISTANT: rows["starts_with_assistant"],
            DropReason.ADJACENT_TOOL_CALLS: rows["adjacent_tool_calls"],
            DropReason.EMPTY_LAST_MESSAGE: rows["empty_last_message"],
        }
    )


def _tools(traces: pl.DataFrame) -> pl.Series:
    """Return for each trace its function schemas as the text of a JSON array, empty without any."""
    array = pl.format("[{}]", pl.col("tools").list.join(","))
    return traces.select(pl.when(pl.col("tools").list.len() > 0).then(array).otherwise(pl.lit(""))).to_series()


def _system(messages: pl.DataFrame, traces: int) -> pl.Series:
    """Return for each trace the system messages at its beginning, with a blank line between; empty without any."""
    opening = messages.filter(_opens(messages, traces))
    joined = opening.group_by("row", maintain_order=True).agg(pl.col("content").str.join("\n\n"))
    rows = pl.select(row=pl.int_range(traces))
    return rows.join(joined, on="row", how="left", maintain_order="left")["content"].fill_null("")


def _opens(messages: pl.DataFrame, traces: int) -> pl.Series:
    """Return whether a message is one of the system's before anybody else speaks."""
    row = messages["row"]
    first_other = first_of_each(row, messages["role"] != int(Role.SYSTEM), traces).gather(row)
    return (pl.int_range(len(row), eager=True) < first_other).fill_null(value=True)


def _calls(tables: Tables) -> pl.Series:
    """Return for each turn its calls as JSON objects, with commas between; null without any."""
    name = pl.struct("name").struct.json_encode().str.head(-1)  # escaped as JSON wants it
    call = pl.concat_str(name, pl.lit(',"arguments":'), "arguments", pl.lit("}"))
    turns = tables.turns.select("tool_calls", turn=pl.int_range(pl.len())).filter(pl.col("tool_calls").list.len() > 0)
    texts = turns.explode("tool_calls").unnest("tool_calls").select("turn", call=call)
    joined = texts.group_by("turn", maintain_order=True).agg(pl.col("call").str.join(","))
    every = pl.select(turn=pl.int_range(tables.turns.height))
    return every.join(joined, on="turn", how="left", maintain_order="left")["call"]
