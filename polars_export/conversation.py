"""Turn rows re-aggregated into the message lists of conversations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from polars_export.tables import Tables

__all__ = ["Conversations", "Role", "reference_conversations"]


class Role(IntEnum):
    """Who speaks a message."""

    SYSTEM = 0
    USER = 1
    ASSISTANT = 2


@dataclass(frozen=True, slots=True)
class Conversations:
    """The message lists of some traces, one conversation per trace.

    Attributes:
        messages: One row per message, in the order of the traces and turns: `role` (the number of a `Role`), `content`,
            and `turn`, the row of the turn that the message is, null for messages that are none.
        lengths: For each trace the number of its messages.
    """

    messages: pl.DataFrame
    lengths: pl.Series


def reference_conversations(tables: Tables) -> Conversations:
    """Build conversations by the reference's rules.

    An empty system message comes first. Each turn is an assistant's message, with an empty user's message before it
    where its `turn_index` is 0. The final response fills a last assistant's message that is empty, and is appended only
    where there is no turn at all.
    """
    traces = tables.traces.select(
        "final_response",
        row=pl.int_range(pl.len()),
        first_turn=pl.col("turns").cum_sum() - pl.col("turns"),
        end_turn=pl.col("turns").cum_sum(),
        silent=(pl.col("turns") == 0) & pl.col("final_response").is_not_null(),
    )
    owner = tables.trace_rows()
    turns = tables.turns.select(
        "text",
        row=owner,
        turn=pl.int_range(pl.len()),
        opens=pl.col("turn_index") == 0,
        last=pl.int_range(1, pl.len() + 1) == traces["end_turn"].gather(owner),
    )
    fills = turns["last"] & (turns["text"] == "")
    if fills.any():
        final = traces["final_response"].gather(owner)
        turns = turns.with_columns(text=pl.when(fills).then(final.fill_null("")).otherwise("text"))

    # A place for every message: a trace has one slot more than it has turns (the first holds its system message and,
    # without turns, its final response), and a slot two places.
    slot = 2 * (pl.col("first_turn") + pl.col("row"))
    turn_slot = 2 * (pl.col("turn") + pl.col("row") + 1)
    no_turn = pl.lit(None, dtype=pl.Int64)
    parts = [
        _part(traces, slot, Role.SYSTEM, pl.lit(""), no_turn),
        _part(turns.filter("opens"), turn_slot, Role.USER, pl.lit(""), no_turn),
        _part(turns, turn_slot + 1, Role.ASSISTANT, pl.col("text"), pl.col("turn")),
        _part(traces.filter("silent"), slot + 1, Role.ASSISTANT, pl.col("final_response"), no_turn),
    ]
    messages = pl.concat(parts).sort("place")
    return Conversations(messages, lengths=messages["row"].rle().struct.field("len"))


def _part(frame: pl.DataFrame, place: pl.Expr, role: Role, content: pl.Expr, turn: pl.Expr) -> pl.DataFrame:
    """Make messages of the rows of a frame; `row` is the trace's."""
    return frame.select(
        "row",
        place=place.cast(pl.Int64),
        role=pl.lit(int(role), dtype=pl.UInt8),
        content=content,
        turn=turn,
    )
