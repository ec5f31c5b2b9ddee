"""Apply rules one after the other: each decides on the traces that those before it have left."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from polars_export.selection.rule import CASE_KEY, DECISIONS, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from polars_export.selection.rule import Rule

__all__ = ["Selection", "drop_reasons", "select_traces"]

_TRACES_AT_ONCE = 250_000
"""Traces, about, among which is chosen at a time: Polars takes some 150 bytes for each, over those that are held."""


class Selection(NamedTuple):
    """The traces that were selected, in the order of their records.

    Attributes:
        rows: One row per trace: `row`, and `group`, the same number for the traces of one record, which follow each
            other in the order of their ranks.
        dropped: Number of the other traces, by reason.
    """

    rows: pl.DataFrame
    dropped: Counter[str]


def drop_reasons(traces: pl.DataFrame, rules: Iterable[Rule]) -> pl.Series:
    """Return for each trace the first reason to leave by rules that look at each for itself, null if it stays."""
    first = pl.repeat(None, traces.height, dtype=pl.String, eager=True)
    for rule in rules:
        reasons = rule.select(traces).sort("row")["reason"]
        if reasons.null_count() < len(reasons):
            first = first.zip_with(first.is_not_null(), reasons)
    return first


def select_traces(traces: pl.DataFrame, rules: Sequence[Rule]) -> Selection:
    """Select by rules that look across traces.

    Args:
        traces: One row per trace, in input order, with `CASE_KEY` and the columns of the rules.
        rules: Are applied in this order; how the records are made says the last.
    """
    rows = pl.int_range(traces.height, dtype=pl.UInt32, eager=True)
    selected = pl.DataFrame({"row": rows, "group": rows})
    dropped: Counter[str] = Counter()
    for rule in rules:
        decisions = _decide(traces, selected["row"].sort(), rule)
        dropped.update(_count(decisions["reason"]))
        selected = decisions.filter(pl.col("reason").is_null()).sort("group", "rank").select("row", "group")
    return Selection(selected, dropped)


def _count(reasons: pl.Series) -> dict[str, int]:
    """Count each reason, in the order in which they first appear."""
    return dict(reasons.drop_nulls().alias("reason").to_frame().group_by("reason", maintain_order=True).len().rows())


def _decide(traces: pl.DataFrame, rows: pl.Series, rule: Rule) -> pl.DataFrame:
    """Return the decisions of a rule on some rows of `traces`, a share of the cases at a time where it may be."""
    parts = [DECISIONS.to_frame()]
    for share in _shares(traces, rows, rule.scope):
        decisions = rule.select(traces.select(*CASE_KEY, *rule.columns)[share])
        parts.append(
            decisions.select(
                share.gather(decisions["row"]).alias("row"),
                share.gather(decisions["group"]).alias("group"),
                "rank",
                "reason",
            )
        )
    return pl.concat(parts)


def _shares(traces: pl.DataFrame, rows: pl.Series, scope: Scope) -> Iterator[pl.Series]:
    count = 1 if scope is Scope.ALL else 1 + len(rows) // _TRACES_AT_ONCE
    if count == 1:
        yield rows
        return
    share_of_case = traces[CASE_KEY[0]].gather(rows) % count
    for share in range(count):
        yield rows.filter(share_of_case == share)
