"""Keep the traces that make a conversation: a user asks, and the agent says something."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from polars_export.report import DropReason
from polars_export.selection.rule import Scope, decide_each

__all__ = ["Prompted"]


@dataclass(frozen=True, slots=True)
class Prompted:
    """Drops the traces to which there is nothing to learn, and those without a user's message.

    Attributes:
        keep_without: Whether traces without a user's message stay.
    """

    keep_without: bool

    columns = ("user_messages", "turns", "final_response")
    scope = Scope.TRACE

    def select(self, traces: pl.DataFrame, /) -> pl.DataFrame:
        """Decide on traces; see `Rule.select`."""
        silent = (pl.col("turns") == 0) & (pl.col("final_response").fill_null("") == "")
        leaves: dict[str, pl.Expr] = (
            {} if self.keep_without else {DropReason.MISSING_PROMPT: pl.col("user_messages") == 0}
        )
        return decide_each(traces, leaves | {DropReason.NO_ANSWER: silent})
