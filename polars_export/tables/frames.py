"""Tables from frames of a user's own: checked, completed and put in step."""

from __future__ import annotations

from typing import TypeAlias

import polars as pl
import pyarrow as pa

from polars_export.errors import OptionError, SourceError
from polars_export.tables.conform import completed, conformed
from polars_export.tables.json_columns import compact_json, flat, nested
from polars_export.tables.schema import TRACES, TURNS
from polars_export.tables.tables import Tables

__all__ = ["Frame", "conform_tables", "tables"]

Frame: TypeAlias = pl.DataFrame | pl.LazyFrame | pa.Table

_NAMED = 5
_RECOUNTED = {"traces": ("turns", "system_messages", "user_messages"), "turns": ("tool_result_count",)}


def tables(traces: Frame, turns: Frame) -> Tables:
    """Return tables of frames of your own, which `export` and the methods of `Tables` take.

    Columns that are missing are filled: with null, false, 0 or an empty list, a missing `score` with the mean of the
    metrics. Columns that neither `TRACES` nor `TURNS` has are kept; an export does not write them.

    Args:
        traces: One row per trace, in order; `trace` and `case_id` are required, and `trace` is unique.
        turns: One row per turn; `trace` and `text` are required. Turns may stand in any order if there is a column
            `turn`, which then orders those of a trace; they are numbered anew, from 0.

    Returns:
        Tables in step with all columns of `TRACES` and `TURNS`. The numbers of turns, messages and results are those
        that the frames hold, whatever the columns said that count them.

    Raises:
        OptionError: They are no frames.
        SourceError: A column is missing or of another type, a value cannot be used, or a turn belongs to no trace.
    """
    given_traces, given_turns = _frame("traces", traces), _frame("turns", turns)
    has_numbers = "turn" in given_turns.columns
    checked = conformed("traces", given_traces, TRACES, ("trace", "case_id"), _RECOUNTED["traces"])
    ordered = conformed("turns", given_turns, TURNS, ("trace", "text"), _RECOUNTED["turns"])
    rows = _rows_of(checked["trace"], ordered["trace"])
    if has_numbers:
        _check_unique_turns(ordered.select("trace", "turn"))
    ordered = ordered.with_columns(rows.alias(_ROW)).sort(
        [_ROW, "turn"] if has_numbers else [_ROW], maintain_order=True
    )
    return _with_compact_json(_in_step(checked, ordered.drop(_ROW), ordered[_ROW]))


def conform_tables(tables: Tables) -> Tables:
    """Return tables that a user may have changed, with the types and counts that an export relies on.

    Raises:
        SourceError: A column is missing or of another type, or the tables are not in step.
    """
    traces = conformed("traces", tables.traces, TRACES, ("trace", "case_id", "turns"), _RECOUNTED["traces"])
    turns = conformed("turns", tables.turns, TURNS, ("trace", "text"), _RECOUNTED["turns"])
    rows = _rows_of(traces["trace"], turns["trace"])
    if not rows.is_sorted():
        raise SourceError("turns", "the turns are not in the order of the traces; make tables of them by tables()")
    return _in_step(traces, turns, rows)


_ROW = "row of the trace"


def _frame(name: str, given: Frame) -> pl.DataFrame:
    match given:
        case pl.DataFrame():
            return given
        case pl.LazyFrame():
            return given.collect()
        case pa.Table():
            return pl.DataFrame(given)
    raise OptionError(name, f"expected a Polars frame or a pyarrow table, found {type(given).__name__}")


def _rows_of(traces: pl.Series, turns: pl.Series) -> pl.Series:
    """Return for each turn the row of its trace.

    Raises:
        SourceError: A number is that of two traces, or of none.
    """
    known = traces.to_frame("trace").with_row_index("row")
    if twice := known.filter(pl.col("trace").is_duplicated())["trace"].unique(maintain_order=True).to_list():
        raise SourceError("traces", f"column trace: expected each number once, found {_named(twice)} several times")
    joined = turns.to_frame("trace").join(known, on="trace", how="left", maintain_order="left")
    if missing := joined.filter(pl.col("row").is_null())["trace"].unique(maintain_order=True).to_list():
        raise SourceError("turns", f"column trace: no row of traces has the number {_named(missing)}")
    return joined["row"]


def _check_unique_turns(numbers: pl.DataFrame) -> None:
    if numbers["turn"].null_count():
        raise SourceError("turns", "column turn: expected a number in each row, or no such column; found null")
    twice = numbers.filter(numbers.is_duplicated())
    if twice.height:
        trace, turn = twice.row(0)
        raise SourceError("turns", f"column turn: trace {trace} has turn {turn} twice")


def _named(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:_NAMED])) + (", …" if len(numbers) > _NAMED else "")


def _in_step(traces: pl.DataFrame, turns: pl.DataFrame, rows: pl.Series) -> Tables:
    """Return tables whose counts are those of what they hold, and whose turns are numbered.

    Args:
        traces: One row per trace.
        turns: One row per turn, in the order of the traces.
        rows: For each turn the row of its trace.
    """
    roles = {"system_messages": "system", "user_messages": "user"}
    counted = turns.select(
        rows.alias("row"),
        pl.lit(1, pl.UInt32).alias("turns"),
        **{name: _count("preceding", role) for name, role in roles.items()},
    )
    sums = counted.group_by("row").sum()
    of_traces = traces.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("row")).join(
        sums, on="row", how="left", maintain_order="left"
    )
    closing = traces.select(**{name: _count("closing", role) for name, role in roles.items()})
    counts = {name: of_traces[name].fill_null(0).cast(pl.UInt32) for name in ("turns", *roles)}
    counts |= {name: counts[name] + closing[name] for name in roles}
    starts = counts["turns"].cum_sum() - counts["turns"]
    places = pl.int_range(turns.height, dtype=pl.UInt32, eager=True) - starts.gather(rows)
    turns = turns.with_columns(
        turn=places.cast(pl.UInt32),
        tool_result_count=(pl.col("tool_results").list.len() + pl.col("orphan_results")).cast(pl.UInt32),
    )
    return Tables(completed(traces.with_columns(**counts), TRACES), completed(turns, TURNS))


def _count(column: str, role: str) -> pl.Expr:
    """Count the messages of a role in a column of lists."""
    is_role = pl.element().struct.field("role") == role
    return pl.col(column).list.eval(is_role).list.sum().cast(pl.UInt32)


def _with_compact_json(tables: Tables) -> Tables:
    traces, turns = tables.traces, tables.turns
    schemas = compact_json(flat(traces["tools"]), "traces", "tools", is_object=True)
    calls = flat(turns["tool_calls"])
    arguments = compact_json(calls.struct.field("arguments"), "turns", "tool_calls.arguments")
    changed = calls.struct.unnest().with_columns(arguments=arguments).to_struct("tool_calls")
    traces = traces.with_columns(
        nested(schemas, traces["tools"]).alias("tools"),
        compact_json(traces["extra"], "traces", "extra", is_object=True).alias("extra"),
    )
    return Tables(traces, turns.with_columns(nested(changed, turns["tool_calls"]).alias("tool_calls")))
