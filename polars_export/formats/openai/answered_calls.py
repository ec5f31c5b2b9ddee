"""OpenAI's rules for tool calls: each that something follows has an id of its own and exactly one result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from polars_export.formats.rendered import first_reason
from polars_export.report import DropReason

if TYPE_CHECKING:
    from polars_export.tables.tables import Tables

__all__ = ["broken_call_rules", "is_followed"]


def broken_call_rules(tables: Tables, turns: pl.Series) -> pl.Series:
    """Return for each trace the rule that a call of it breaks, null if none does.

    Args:
        tables: The traces.
        turns: For each turn whether it is looked at.
    """
    calls, results = pl.col("calls"), pl.col("results")
    problems = {
        DropReason.UNANSWERED_CALL: calls.list.set_difference(results).list.len() > 0,
        DropReason.REPEATED_CALL_ID: calls.list.n_unique() < calls.list.len(),
        DropReason.REPEATED_RESULT: calls != results,
    }
    broken = (
        tables.turns.select("tool_calls", "tool_results", row=tables.trace_rows())
        .filter(turns)
        .select(
            "row",
            calls=pl.col("tool_calls").list.eval(pl.element().struct.field("id")).list.sort(),
            results=pl.col("tool_results").list.eval(pl.element().struct.field("tool_call_id")).list.sort(),
        )
        .select("row", **problems)
    )
    rows = pl.int_range(len(tables), eager=True)
    return first_reason({reason: rows.is_in(broken.filter(pl.col(reason))["row"].implode()) for reason in problems})


def is_followed(tables: Tables) -> pl.Series:
    """Return for each turn whether anything follows its calls in the conversation of its trace."""
    owner = tables.trace_rows()
    closes = (tables.traces["final_response"].fill_null("") == "").gather(owner)
    last = pl.int_range(1, len(owner) + 1, eager=True) == tables.traces["turns"].cum_sum().gather(owner)
    return ~(last & (closes | (tables.turns["tool_results"].list.len() == 0)))
