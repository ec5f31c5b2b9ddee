"""Turn rows re-aggregated into the message lists of conversations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import polars as pl

from polars_export.choices import Reasoning

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["Conversations", "Role", "reference_conversations", "trainer_conversations"]


class Role(IntEnum):
    """Who speaks a message."""

    SYSTEM = 0
    USER = 1
    ASSISTANT = 2
    TOOL = 3


@dataclass(frozen=True, slots=True)
class Conversations:
    """The message lists of some traces, one conversation per trace.

    Attributes:
        messages: One row per message, in the order of the traces and turns: `row` (of its trace), `role` (the number of
            a `Role`), `content`, and `turn`, the row of the turn that the message is, null for messages that are none.
            Those for trainers also have `reasoning`, null without any, `tool_call_id` and `name`, null but for tools.
        lengths: For each trace the number of its messages.
        trimmed: Number of tool messages at the end of a conversation that were left out.
    """

    messages: pl.DataFrame
    lengths: pl.Series
    trimmed: int = 0

    def lost(self) -> dict[str, int]:
        """Count the content of the traces that the messages do not hold."""
        return {"tool results at the end": self.trimmed} if self.trimmed else {}


def reference_conversations(tables: Tables) -> Conversations:
    """Build conversations by the reference's rules.

    An empty system message comes first. Each turn is an assistant's message, with an empty user's message before it
    where its `turn_index` is 0. The final response fills a last assistant's message that is empty, and is appended only
    where there is no turn at all.
    """
    traces, turns = _placed(tables, "final_response"), _turns(tables, "text", opens=pl.col("turn_index") == 0)
    turns = _filled(turns, traces["final_response"], turns["last"])
    silent = traces.filter((pl.col("end") == pl.col("start")) & pl.col("final_response").is_not_null())
    parts = [
        _part(traces, _before(0), Role.SYSTEM, pl.lit("")),
        _part(turns.filter("opens"), _at_turn(0), Role.USER, pl.lit("")),
        _part(turns, _at_turn(1), Role.ASSISTANT, pl.col("text"), turn=pl.col("turn")),
        _part(silent, _behind(), Role.ASSISTANT, pl.col("final_response")),
    ]
    return _in_order(parts)


def trainer_conversations(tables: Tables, options: ExportOptions) -> Conversations:
    """Build conversations as trainers want them.

    A system message if there is a system prompt; the user's messages; for each turn the assistant's message, then one
    tool message per result. The final response, unless empty, is appended where the conversation ends in a tool message
    or has no assistant's message, and fills a last assistant's message that is empty. Tool messages at the very end are
    left out: there is nothing behind them to learn.

    Args:
        tables: Traces with `system_prompt` and `user_messages`, and their turns.
        options: Says where the reasoning goes.
    """
    traces = _placed(tables, "system_prompt", "user_messages", final=pl.col("final_response").fill_null(""))
    turns = _turns(tables, "text", "tool_results", "tool_calls", reasoning=_reasoning(options))
    final = traces["final"].gather(turns["row"])
    results = turns["tool_results"].list.len()
    ends_in_results = turns["last"] & (results > 0)
    turns = _filled(turns, traces["final"], turns["last"] & ~ends_in_results)
    if options.written_reasoning is Reasoning.THINK:
        thought = pl.format("<think>{}</think>{}", "reasoning", "text")
        turns = turns.with_columns(
            text=pl.when(pl.col("reasoning").is_not_null()).then(thought).otherwise("text"),
            reasoning=pl.lit(None, dtype=pl.String),
        )
    kept = turns.filter(~(ends_in_results & (final == "")))
    answers = traces.filter(
        (pl.col("final") != "")
        & ((pl.col("end") == pl.col("start")) | pl.col("row").is_in(turns.filter(ends_in_results)["row"].implode()))
    )
    parts = [
        _part(traces.filter(pl.col("system_prompt") != ""), _before(0), Role.SYSTEM, pl.col("system_prompt")),
        _part(_each(traces, "user_messages"), _before(1), Role.USER, pl.col("user_messages")),
        _part(turns, _at_turn(0), Role.ASSISTANT, pl.col("text"), turn=pl.col("turn"), reasoning=pl.col("reasoning")),
        _tool_messages(kept),
        _part(answers, _behind(), Role.ASSISTANT, pl.col("final")),
    ]
    trimmed = results.filter(ends_in_results & (final == "")).sum()
    return _in_order(parts, trimmed=int(trimmed))


# Every message has a place, a number that orders all messages of all traces. A trace has two slots more than turns (the
# first for what precedes the turns, the last for the final response), and a slot two places; messages of one place
# stand in the order of their part.


def _before(part: int) -> pl.Expr:
    return 2 * (pl.col("start") + 2 * pl.col("row")) + part


def _at_turn(part: int) -> pl.Expr:
    return 2 * (pl.col("turn") + 2 * pl.col("row") + 1) + part


def _behind() -> pl.Expr:
    return 2 * (pl.col("end") + 2 * pl.col("row") + 1)


def _placed(tables: Tables, *columns: str, **more: pl.Expr) -> pl.DataFrame:
    """Return the traces with their `row` and the rows of `turns` at which their turns `start` and `end`."""
    end = pl.col("turns").cast(pl.Int64).cum_sum()
    return tables.traces.select(
        *columns, **more, row=pl.int_range(pl.len()), start=end - pl.col("turns").cast(pl.Int64), end=end
    )


def _turns(tables: Tables, *columns: str, **more: pl.Expr) -> pl.DataFrame:
    """Return the turns with their number `turn`, the `row` of their trace and whether they are its `last`."""
    owner = tables.trace_rows()
    last = tables.traces["turns"].cum_sum().gather(owner)
    return tables.turns.select(
        *columns,
        **more,
        row=owner,
        turn=pl.int_range(pl.len()),
        last=pl.int_range(1, pl.len() + 1) == last,
    )


def _filled(turns: pl.DataFrame, final: pl.Series, may_fill: pl.Series) -> pl.DataFrame:
    """Return the turns with the final response in the place of an empty text."""
    fills = may_fill & (turns["text"] == "")
    if not fills.any():
        return turns
    of_trace = final.gather(turns["row"]).fill_null("")
    return turns.with_columns(text=pl.when(fills).then(of_trace).otherwise("text"))


def _reasoning(options: ExportOptions) -> pl.Expr:
    dropped = options.written_reasoning is Reasoning.DROP
    return pl.lit(None, dtype=pl.String) if dropped else pl.col("reasoning")


def _each(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Return one row per element of a list; empty lists and nulls give none."""
    return frame.filter(pl.col(column).list.len() > 0).explode(column)


def _tool_messages(turns: pl.DataFrame) -> pl.DataFrame:
    """Return one message per tool result, with the name of the call that it answers."""
    calls = _each(turns.select("turn", "tool_calls"), "tool_calls").unnest("tool_calls")
    names = calls.select("turn", tool_call_id="id", name="name").unique(["turn", "tool_call_id"], keep="first")
    results = _each(turns.select("row", "turn", "tool_results"), "tool_results").unnest("tool_results")
    named = results.join(names, on=["turn", "tool_call_id"], how="left", maintain_order="left")
    return _part(
        named, _at_turn(1), Role.TOOL, pl.col("text"), tool_call_id=pl.col("tool_call_id"), name=pl.col("name")
    )


def _part(frame: pl.DataFrame, place: pl.Expr, role: Role, content: pl.Expr, **columns: pl.Expr) -> pl.DataFrame:
    """Make messages of the rows of a frame; `row` is the trace's."""
    return frame.select(
        "row", place=place.cast(pl.Int64), role=pl.lit(int(role), dtype=pl.UInt8), content=content, **columns
    )


def _in_order(parts: list[pl.DataFrame], *, trimmed: int = 0) -> Conversations:
    messages = pl.concat(parts, how="diagonal").sort("place", maintain_order=True)
    lengths = messages["row"].rle().struct.field("len")
    return Conversations(messages.drop("place"), lengths, trimmed)
