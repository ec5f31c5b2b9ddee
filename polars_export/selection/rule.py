"""What a rule of selection is: a pure function that says which traces stay, and how records are made of them."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CASE", "CASE_KEY", "DECISIONS", "Rule", "Scope", "decide_each"]

CASE = ("eval_set_id", "case_id")
"""What makes two traces runs of one case."""

CASE_KEY = ("case_high", "case_low")
"""The same as two numbers: what a rule that looks across traces has of their cases; see `case_key`."""

DECISIONS = pl.Schema({"row": pl.UInt32, "group": pl.UInt32, "rank": pl.UInt32, "reason": pl.String})
"""What a rule returns; see `Rule.select`."""

Reason: TypeAlias = str


class Scope(IntEnum):
    """What a rule must see at once."""

    TRACE = 0
    """Each trace for itself."""
    CASE = 1
    """All runs of a case."""
    ALL = 2
    """All traces."""


class Rule(Protocol):
    """Says which traces stay. A rule has no state: it may be asked in any process, of any number of traces."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of `traces` that it looks at."""
        ...

    @property
    def scope(self) -> Scope:
        """What it must see at once."""
        ...

    def select(self, traces: pl.DataFrame, /) -> pl.DataFrame:
        """Decide on traces.

        Args:
            traces: One row per trace, in input order: the columns of the rule, and `CASE_KEY` where its scope is more
                than one trace.

        Returns:
            One row per trace, in any order, with the columns of `DECISIONS`: `row`, its row in `traces`; `group`, the
            same number for the traces of one record, by which the records are ordered (the row of the first trace of
            a case, say); `rank`, its place in the record; and `reason`, why it leaves, null if it stays.
        """
        ...


def decide_each(traces: pl.DataFrame, leaves: Mapping[Reason, pl.Expr]) -> pl.DataFrame:
    """Return the decisions of a rule that looks at each trace for itself: it leaves for the first reason that holds."""
    reason = pl.coalesce(
        *(pl.when(holds).then(pl.lit(str(reason))) for reason, holds in leaves.items()), pl.lit(None, pl.String)
    )
    row = pl.int_range(pl.len(), dtype=pl.UInt32)
    return traces.select(row=row, group=row, rank=pl.lit(0, pl.UInt32), reason=reason)
