"""Turn rows re-aggregated into the message lists of conversations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

import polars as pl

from polars_export.choices import Reasoning
from polars_export.tables.nested import first_of_each

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["UNMARKED_CONTEXT", "Conversations", "Role", "reference_conversations", "trainer_conversations"]


UNMARKED_CONTEXT = "context messages to learn from"
"""The kind, in the account, of messages which the agent did not produce in this run, and which no record can mark."""


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
            Those for trainers also have `reasoning`, null without any, `tool_call_id`, null but for tools, `name`, and
            `context`, whether it is an assistant's message that the agent did not produce in this run.
        lengths: For each trace that has messages their number.
        dropped: One row per trace and kind of content that its conversation lacks (messages trimmed at its end, names
            of speakers): `row` (of the trace), `kind`, `count`; None where nothing ever is.
    """

    messages: pl.DataFrame
    lengths: pl.Series
    dropped: pl.DataFrame | None = None

    def dropped_content(self, kept: pl.Series | None = None) -> dict[str, int]:
        """Count the content that the conversations lack, by kind.

        Args:
            kept: Whether a trace counts; by default all do.
        """
        if self.dropped is None:
            return {}
        dropped = self.dropped if kept is None else self.dropped.filter(kept.gather(self.dropped["row"]))
        return dict(dropped.group_by("kind", maintain_order=True).agg(pl.col("count").sum()).rows())

    def unmarked_context(self, learned: pl.Series | None = None) -> dict[str, int]:
        """Count the messages which the agent did not produce in this run, and which no record can mark as such.

        Args:
            learned: Whether a message is one to learn from; by default all of them are.
        """
        context = self.messages["context"]
        count = int((context if learned is None else context & learned).sum())
        return {UNMARKED_CONTEXT: count} if count else {}

    def completion_starts(self, traces: int) -> tuple[pl.Series, pl.Series]:
        """Return where the completion of each trace begins, and where it does if none of its users is answered.

        That is its first assistant's message that is no context: of those that have a user's message somewhere before
        them, or of all. Both are rows of `messages`, null where there is no such message.

        Args:
            traces: The number of traces.
        """
        role, owner = self.messages["role"], self.messages["row"]
        first_user = first_of_each(owner, role == int(Role.USER), traces).gather(owner)
        answers = (role == int(Role.ASSISTANT)) & ~self.messages["context"]
        asked = (pl.int_range(len(role), eager=True) > first_user).fill_null(value=False)
        return first_of_each(owner, answers & asked, traces), first_of_each(owner, answers, traces)


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
        _part(traces, _first(), Role.SYSTEM, pl.lit("")),
        _part(turns.filter("opens"), _at_turn(0), Role.USER, pl.lit("")),
        _part(turns, _at_turn(1), Role.ASSISTANT, pl.col("text"), turn=pl.col("turn")),
        _part(silent, _behind(0), Role.ASSISTANT, pl.col("final_response")),
    ]
    return _in_order(parts)


def trainer_conversations(tables: Tables, options: ExportOptions) -> Conversations:
    """Build conversations as trainers want them.

    Before each turn stand the messages that precede it, but for empty system messages; then the assistant's message,
    then one tool message per result. The final response, unless empty, is appended where the last turn has results or
    there is no turn, behind the closing messages, and fills a last assistant's message that is empty. Where it is not
    appended, closing messages and then tool messages at the very end are trimmed: nothing follows to be learned.

    Args:
        tables: Traces with their prompts, and their turns.
        options: Says where the reasoning goes.
    """
    traces = _placed(tables, "closing", final=pl.col("final_response").fill_null(""))
    turns = _turns(tables, "text", "preceding", "context", "tool_results", reasoning=_reasoning(options))
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
    is_trimmed = ends_in_results & (final == "")
    kept = turns.filter(~is_trimmed)
    is_answered = (pl.col("final") != "") & (
        (pl.col("end") == pl.col("start")) | pl.col("row").is_in(turns.filter(ends_in_results)["row"].implode())
    )
    answered = traces.filter(is_answered)
    assistant = {"turn": pl.col("turn"), "reasoning": pl.col("reasoning"), "context": pl.col("context")}
    parts = [
        _other_messages(turns, "preceding", _at_turn(0)),
        _part(turns, _at_turn(1), Role.ASSISTANT, pl.col("text"), **assistant),
        _tool_messages(kept, _at_turn(2)),
        _other_messages(answered, "closing", _behind(0)),
        _part(answered, _behind(1), Role.ASSISTANT, pl.col("final")),
    ]
    dropped = [
        _trimmed(turns.filter(is_trimmed), "tool_results", "tool results at the end"),
        _trimmed(traces.filter(~is_answered), "closing", "messages at the end"),
    ]
    conversations = _in_order(parts)
    if not options.target.tool_names:
        dropped.append(_names(conversations.messages))
    return replace(conversations, dropped=pl.concat(dropped))


def _trimmed(frame: pl.DataFrame, column: str, kind: str) -> pl.DataFrame:
    """Return rows of `Conversations.dropped` for the lists that hold something."""
    counts = frame.select("row", kind=pl.lit(kind), count=pl.col(column).list.len())
    return counts.filter(pl.col("count") > 0)


def _names(messages: pl.DataFrame) -> pl.DataFrame:
    """Return rows of `Conversations.dropped` for the names of users and systems, where a record has none."""
    named = messages.filter((pl.col("role") < int(Role.ASSISTANT)) & pl.col("name").is_not_null())
    return named.group_by("row", maintain_order=True).agg(kind=pl.lit("names of speakers"), count=pl.len())


# Every message has a place, a number that orders all messages of all traces. A trace has two slots more than turns (the
# first for what precedes the turns, the last for what follows them), and a slot three places; messages of one place
# stand in the order of their part.


def _first() -> pl.Expr:
    return 3 * (pl.col("start") + 2 * pl.col("row"))


def _at_turn(part: int) -> pl.Expr:
    return 3 * (pl.col("turn") + 2 * pl.col("row") + 1) + part


def _behind(part: int) -> pl.Expr:
    return 3 * (pl.col("end") + 2 * pl.col("row") + 1) + part


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


def _other_messages(frame: pl.DataFrame, column: str, place: pl.Expr) -> pl.DataFrame:
    """Return the messages of others in a column of lists, but for empty system messages."""
    messages = _each(frame.select("row", column, place=place.cast(pl.Int64)), column).unnest(column)
    is_system = pl.col("role") == "system"
    roles = pl.when(is_system).then(int(Role.SYSTEM)).otherwise(int(Role.USER))
    return messages.filter(~(is_system & (pl.col("content") == ""))).select(
        "row", "place", role=roles.cast(pl.UInt8), content="content", name="name"
    )


def _tool_messages(turns: pl.DataFrame, place: pl.Expr) -> pl.DataFrame:
    """Return one message per tool result, with the name of the call that it answers."""
    results = _each(turns.select("row", "turn", "tool_results"), "tool_results").unnest("tool_results")
    columns = {"tool_call_id": pl.col("tool_call_id"), "name": pl.col("name")}
    return _part(results, place, Role.TOOL, pl.col("text"), **columns)


def _part(frame: pl.DataFrame, place: pl.Expr, role: Role, content: pl.Expr, **columns: pl.Expr) -> pl.DataFrame:
    """Make messages of the rows of a frame; `row` is the trace's."""
    return frame.select(
        "row", place=place.cast(pl.Int64), role=pl.lit(int(role), dtype=pl.UInt8), content=content, **columns
    )


def _in_order(parts: list[pl.DataFrame]) -> Conversations:
    messages = pl.concat(parts, how="diagonal").sort("place", maintain_order=True)
    if "context" in messages.columns:
        messages = messages.with_columns(pl.col("context").fill_null(value=False))
    lengths = messages["row"].rle().struct.field("len")
    return Conversations(messages.drop("place"), lengths)
