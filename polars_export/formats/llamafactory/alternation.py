"""Conversations as LLaMA-Factory reads them: human or observation, then gpt or function_call, in strict alternation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.conversation import UNMARKED_CONTEXT, Role, trainer_conversations
from polars_export.formats.dropped_content import count_dropped
from polars_export.formats.rendered import first_reason
from polars_export.report import DropReason
from polars_export.tables.nested import arrow, lists, structs

if TYPE_CHECKING:
    from polars_export.conversation import Conversations
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["MESSAGE", "Alternation", "alternate"]

MESSAGE = pa.struct({"from": pa.string(), "value": pa.string()})

_SPEAKERS = pl.Series(["human", "observation", "gpt", "function_call"])
_HUMAN, _OBSERVATION, _GPT, _FUNCTION_CALL = range(4)


@dataclass(frozen=True, slots=True)
class Alternation:
    """The conversations of some traces, merged so that the sides take turns.

    Attributes:
        messages: One row per message: `row` (of its trace), `from`, `value`, `answers` (whether it is the
            assistant's), `lost` (how many texts beside calls it cannot hold), `broken` (whether it is more than one
            message of the assistant, calls among them) and `context` (how many messages of it are context).
        reasons: For each trace why it has no place, null if it has one: its conversation starts with the user and ends
            with words or calls, and the assistant says nothing more between a call and its result.
        system: For each trace its system prompt, empty without one.
        tools: For each trace its function schemas as the text of a JSON array, empty without any.
        trimmed: Content at the end of the conversations that was left out.
    """

    messages: pl.DataFrame
    reasons: pl.Series
    system: pl.Series
    tools: pl.Series
    trimmed: dict[str, int]

    def conversations(self) -> pl.Series:
        """Return for each trace all of its messages."""
        return self._lists(self.messages)

    def questions(self) -> pl.Series:
        """Return for each trace the messages before the assistant's first."""
        return self._lists(self.messages.filter(pl.col("answers").cum_max().over("row").not_()))

    def answers(self) -> pl.Series:
        """Return for each trace the messages from the assistant's first on."""
        return self._lists(self.messages.filter(pl.col("answers").cum_max().over("row")))

    def lost(self, tables: Tables, keep: pl.Series, options: ExportOptions) -> dict[str, int]:
        """Count the content of the traces to keep that these messages cannot carry."""
        kept = self.messages.filter(keep.gather(self.messages["row"]))
        context = {UNMARKED_CONTEXT: int(kept["context"].sum())}
        counts = {"texts beside calls": int(kept["lost"].sum()), **self.trimmed, **context}
        return count_dropped(tables.filter(keep), options) | {name: count for name, count in counts.items() if count}

    def _lists(self, messages: pl.DataFrame) -> pl.Series:
        counts = messages.group_by("row").len()
        rows = pl.select(row=pl.int_range(len(self.system)))
        lengths = rows.join(counts, on="row", how="left", maintain_order="left")["len"].fill_null(0)
        return pl.Series(lists(lengths, structs({"from": arrow(messages["from"]), "value": arrow(messages["value"])})))


def alternate(tables: Tables, options: ExportOptions) -> Alternation:
    """Merge the messages of each trace that follow each other on one side.

    Texts, and the results of one turn, are put together with a blank line between. Calls become one `function_call`, a
    JSON array of name and arguments; texts beside them have no place.
    """
    conversations = trainer_conversations(tables, options)
    spoken = conversations.messages.filter(pl.col("role") != int(Role.SYSTEM))
    spoken = spoken.with_columns(
        calls=_calls(tables).gather(spoken["turn"]), answers=pl.col("role") == int(Role.ASSISTANT)
    )
    text = pl.col("content").filter(pl.col("content") != "")
    calls = pl.col("calls").drop_nulls()
    runs = (
        spoken.group_by(pl.struct("row", "answers").rle_id().alias("run"), maintain_order=True)
        .agg(
            pl.col("row", "answers").first(),
            text=text.str.join("\n\n"),
            texts=text.len(),
            calls=calls.str.join(","),
            calling=calls.len() > 0,
            observed=(pl.col("role") == int(Role.TOOL)).any(),
            messages=pl.len(),
            context=pl.col("context").sum(),
        )
        .with_columns(pl.col("calling") & pl.col("answers"))
    )
    speaker = (
        pl.when("calling").then(_FUNCTION_CALL).when("answers").then(_GPT).when("observed").then(_OBSERVATION)
    ).otherwise(_HUMAN)
    messages = runs.select(
        "row",
        "answers",
        speaker.alias("from"),
        value=pl.when("calling").then(pl.format("[{}]", "calls")).otherwise("text"),
        lost=pl.when("calling").then("texts").otherwise(0),
        broken=pl.col("calling") & (pl.col("messages") > 1),
        context="context",
    )
    messages = messages.with_columns(_SPEAKERS.gather(messages["from"]).alias("from"))
    whole = messages.group_by("row", maintain_order=True).agg(
        starts_with_assistant=pl.col("from").first() != "human",
        empty_last_message=pl.col("value").last() == "",
        adjacent_tool_calls=pl.col("broken").any(),
    )
    rows = pl.select(row=pl.int_range(len(tables)))
    rows = rows.join(whole, on="row", how="left", maintain_order="left")
    reasons = first_reason(
        {
            DropReason.NO_ANSWER: rows["starts_with_assistant"].is_null(),
            DropReason.STARTS_WITH_ASSISTANT: rows["starts_with_assistant"],
            DropReason.ADJACENT_TOOL_CALLS: rows["adjacent_tool_calls"],
            DropReason.EMPTY_LAST_MESSAGE: rows["empty_last_message"],
        }
    )
    tools = tables.traces.select(
        pl.when(pl.col("tools").list.len() > 0)
        .then(pl.format("[{}]", pl.col("tools").list.join(",")))
        .otherwise(pl.lit(""))
    ).to_series()
    return Alternation(messages, reasons, _system(conversations, len(tables)), tools, conversations.lost())


def _system(conversations: Conversations, traces: int) -> pl.Series:
    """Return for each trace its system messages, with a blank line between; empty without any."""
    messages = conversations.messages.filter(pl.col("role") == int(Role.SYSTEM))
    joined = messages.group_by("row", maintain_order=True).agg(pl.col("content").str.join("\n\n"))
    rows = pl.select(row=pl.int_range(traces))
    return rows.join(joined, on="row", how="left", maintain_order="left")["content"].fill_null("")


def _calls(tables: Tables) -> pl.Series:
    """Return for each turn its calls as JSON objects, with commas between; null without any."""
    name = pl.struct("name").struct.json_encode().str.head(-1)  # escaped as JSON wants it
    call = pl.concat_str(name, pl.lit(',"arguments":'), "arguments", pl.lit("}"))
    turns = tables.turns.select("tool_calls", turn=pl.int_range(pl.len())).filter(pl.col("tool_calls").list.len() > 0)
    texts = turns.explode("tool_calls").unnest("tool_calls").select("turn", call=call)
    joined = texts.group_by("turn", maintain_order=True).agg(pl.col("call").str.join(","))
    every = pl.select(turn=pl.int_range(tables.turns.height))
    return every.join(joined, on="turn", how="left", maintain_order="left")["call"]
