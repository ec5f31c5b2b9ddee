"""The two sides of preference pairs, which stand one behind the other: chosen, rejected, chosen, rejected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from polars_export.choices import Completion
from polars_export.conversation import UNMARKED_CONTEXT, Role, trainer_conversations
from polars_export.formats.messages import message_lists
from polars_export.report import DropReason
from polars_export.tables.nested import first_of_each, last_of_each, parent_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from polars_export.conversation import Conversations
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["BEHIND_FIRST", "PairSides", "different", "either_side", "for_both_sides", "pair_sides"]

BEHIND_FIRST = "messages behind the first of the completion"
"""The kind, in the account, of messages that `--completion first` leaves out."""


@dataclass(frozen=True, slots=True)
class PairSides:
    """The conversations of pairs, each cut into a prompt that both sides share and a completion of its own.

    Attributes:
        tables: The traces.
        options: Say which fields a message has, and how much of a side is its completion.
        conversations: The whole conversations.
        messages: The rows of `conversations.messages` that are written, with `in_completion`: whether they stand in the
            completion. The prompt of the chosen side stands for both.
        left_out: The row of its trace for each message that `--completion first` leaves out.
        different_prompts: For each pair whether its sides share no prompt.
        identical: For each pair whether its completions are the same but for the ids of calls.
    """

    tables: Tables
    options: ExportOptions
    conversations: Conversations
    messages: pl.DataFrame
    left_out: pl.Series
    different_prompts: pl.Series
    identical: pl.Series

    def reasons(self) -> dict[DropReason, pl.Series]:
        """Return for each pair whether it makes no record, by the reasons that hold for every target."""
        return {DropReason.DIFFERENT_PROMPTS: self.different_prompts, DropReason.IDENTICAL: self.identical}

    def prompts(self, rows: pl.Series) -> pa.ListArray:
        """Return the prompts of the traces of these rows, in ascending order."""
        return self._lists(rows, ~self.messages["in_completion"])

    def completions(self, rows: pl.Series) -> pa.ListArray:
        """Return the completions of the traces of these rows, in ascending order."""
        return self._lists(rows, self.messages["in_completion"])

    def completion_lengths(self) -> pl.Series:
        """Return for each trace the number of messages in its completion."""
        return _offsets(self.messages.filter("in_completion")["row"], len(self.tables)).diff().slice(1)

    def context_to_learn(self, kept: pl.Series) -> dict[str, int]:
        """Count the context messages in the completions of the traces for which `kept` is true."""
        is_learned = self.messages["context"] & self.messages["in_completion"]
        count = int(kept.gather(self.messages["row"].filter(is_learned)).sum())
        return {UNMARKED_CONTEXT: count} if count else {}

    def dropped_content(self, kept: pl.Series) -> dict[str, int]:
        """Count the messages that were trimmed or left out, of the traces for which `kept` is true."""
        count = int(kept.gather(self.left_out).sum())
        return self.conversations.dropped_content(kept) | ({BEHIND_FIRST: count} if count else {})

    def _lists(self, rows: pl.Series, keep: pl.Series) -> pa.ListArray:
        wanted = pl.repeat(value=False, n=len(self.tables), eager=True).scatter(rows, values=True)
        messages = self.messages.filter(keep & wanted.gather(self.messages["row"]))
        return message_lists(self.tables, messages, self.options, rows)


def pair_sides(tables: Tables, options: ExportOptions) -> PairSides:
    """Cut the conversations of pairs into prompts and completions.

    The prompt is the longest run of messages that both sides share, moved back to where a message of the assistant
    begins on both: one that the agent produced, since context belongs to a prompt. Messages are compared as they are
    written, but for the ids of calls. The sides share a prompt only if a user speaks in it, or in neither of them.
    """
    conversations = trainer_conversations(tables, options)
    messages, pairs = conversations.messages, len(tables) // 2
    row = messages["row"]
    offsets = _offsets(row, len(tables))
    lengths = offsets.diff().slice(1)
    position = pl.int_range(len(row), eager=True) - offsets.gather(row)
    of_chosen, of_rejected = lengths.gather_every(2), lengths.gather_every(2, offset=1)
    shortest = of_chosen.zip_with(of_chosen < of_rejected, of_rejected)

    # Messages at the same place of both sides of a pair.
    chosen = ((row % 2 == 0) & (position < shortest.gather(row // 2))).arg_true().cast(pl.Int64)
    pair, place = row.gather(chosen) // 2, position.gather(chosen)
    rejected = offsets.gather(2 * pair + 1) + place
    same = _same_messages(tables, messages, options, chosen, rejected)
    shared = place.gather(first_of_each(pair, ~same, pairs))  # length of the run that both sides share
    shared = shared.zip_with(shared.is_not_null(), shortest)
    answers = (messages["role"] == int(Role.ASSISTANT)) & ~messages["context"]
    may_start = answers.gather(chosen) & answers.gather(rejected) & (place <= shared.gather(pair))
    start = place.gather(last_of_each(pair, may_start, pairs))

    is_user = messages["role"] == int(Role.USER)
    of_prompt = (place < start.gather(pair)).fill_null(value=False)
    is_asked = first_of_each(pair, is_user.gather(chosen) & of_prompt, pairs).is_not_null()
    has_user = pl.int_range(pairs, eager=True).is_in((row.filter(is_user) // 2).unique().implode())
    if options.completion is Completion.FIRST:
        identical = start < shared
        written = (position <= start.gather(row // 2)).fill_null(value=True)
    else:
        identical = (shared == of_chosen) & (shared == of_rejected)
        written = pl.repeat(value=True, n=len(row), eager=True)
    in_completion = (position >= start.gather(row // 2)).fill_null(value=False)
    return PairSides(
        tables,
        options,
        conversations,
        messages.with_columns(in_completion.alias("in_completion")).filter(written),
        row.filter(~written),
        start.is_null() | (has_user & ~is_asked),
        identical.fill_null(value=False),
    )


def _offsets(row: pl.Series, count: int) -> pl.Series:
    """Return for each of `count` rows, and behind the last, where its values begin in a column of ascending rows."""
    return row.search_sorted(pl.int_range(count + 1, eager=True)).cast(pl.Int64)


def _same_messages(
    tables: Tables, messages: pl.DataFrame, options: ExportOptions, left: pl.Series, right: pl.Series
) -> pl.Series:
    """Return whether the messages of some rows are written like those of others, but for the ids of calls."""
    left_turns, right_turns = messages["turn"].gather(left), messages["turn"].gather(right)
    counts = tables.turns["tool_calls"].list.len()
    left_calls, right_calls = counts.gather(left_turns).fill_null(0), counts.gather(right_turns).fill_null(0)
    same = left_calls == right_calls
    content = messages["content"].gather(left).eq_missing(messages["content"].gather(right))
    same &= content if options.target.text_beside_calls else content | (left_calls > 0)
    for name in ("role", "reasoning", "name") if options.target.tool_names else ("role", "reasoning"):
        same &= messages[name].gather(left).eq_missing(messages[name].gather(right))

    calling = (same & (left_calls > 0)).arg_true()
    left_call, right_call = (
        tables.turns["tool_calls"].gather(turns.gather(calling)).explode(empty_as_null=False).struct
        for turns in (left_turns, right_turns)
    )
    differ = (left_call.field("name") != right_call.field("name")) | (
        left_call.field("arguments") != right_call.field("arguments")
    )
    owner = calling.gather(parent_rows(left_calls.gather(calling)))
    return same.scatter(owner.filter(differ).unique(), values=False)


def either_side(holds: pl.Series) -> pl.Series:
    """Return for each pair whether something holds for one of its sides or both."""
    return holds.gather_every(2) | holds.gather_every(2, offset=1)


def for_both_sides(pairs: pl.Series) -> pl.Series:
    """Return for each trace what there is for its pair."""
    return pairs.gather(pl.int_range(2 * len(pairs), eager=True) // 2)


def different(sides: pl.Series) -> pl.Series:
    """Return for each pair whether its sides, lists or structs, are different."""
    texts = sides.to_frame("side").select(pl.struct("side").struct.json_encode()).to_series()
    return texts.gather_every(2) != texts.gather_every(2, offset=1)
