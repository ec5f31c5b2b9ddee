"""Put prompts at their places before the turns of traces."""

from __future__ import annotations

import polars as pl

from polars_export.tables.nested import arrow, lists, parent_rows, structs
from polars_export.tables.schema import MESSAGE
from polars_export.tables.tables import Tables

__all__ = ["attach_messages"]


def attach_messages(tables: Tables, prompts: pl.DataFrame) -> Tables:
    """Return tables with prompts in `preceding` of their turns, and in `closing` of traces without turns.

    Args:
        tables: The traces.
        prompts: One row per trace: `system_prompt`, null without one, and `user_messages`, null or empty without any.
    """
    messages = _messages(prompts)
    if not messages.height:
        return tables
    turns = _turns_of(tables, messages["row"], messages["number"])
    placed = messages.select(
        turn=turns,
        row="row",
        role=pl.when(pl.col("number") < 0).then(pl.lit("system")).otherwise(pl.lit("user")),
        content="content",
    )
    without_turn = turns.is_null()
    if without_turn.any():
        closing = _add(tables.traces["closing"], placed.filter(without_turn), "row")
        tables = Tables(tables.traces.with_columns(closing=closing), tables.turns)
        placed = placed.filter(~without_turn)
    return Tables(tables.traces, tables.turns.with_columns(preceding=_add(tables.turns["preceding"], placed, "turn")))


def _messages(prompts: pl.DataFrame) -> pl.DataFrame:
    """Return one row per message: `row` (of its trace), `number` (from 0, -1 for a system prompt) and `content`."""
    has_system = prompts["system_prompt"].is_not_null().cast(pl.Int64)
    counts = has_system + prompts["user_messages"].list.len().fill_null(0)
    rows = parent_rows(counts)
    first = (counts.cum_sum() - counts + has_system).gather(rows)
    number = pl.int_range(len(rows), eager=True) - first
    # Both kinds one behind the other, then each message from its place there: texts are not copied.
    systems = prompts["system_prompt"].drop_nulls()
    users = prompts["user_messages"].explode(empty_as_null=False).drop_nulls()
    is_system = number < 0
    nth_system = is_system.cast(pl.Int64).cum_sum() - 1
    nth_user = pl.int_range(len(rows), eager=True) - (nth_system + 1)
    place = nth_system.zip_with(is_system, nth_user + len(systems))
    return pl.DataFrame({"row": rows, "number": number, "content": pl.concat([systems, users]).gather(place)})


def _turns_of(tables: Tables, rows: pl.Series, numbers: pl.Series) -> pl.Series:
    """Return the row of `turns` before which each message stands, null in a trace without turns.

    Args:
        tables: The traces.
        rows: For each message the row of its trace.
        numbers: For each its number among the messages of the user, -1 for a system prompt.
    """
    lengths = tables.traces["turns"].cast(pl.Int64)
    ends = lengths.cum_sum()
    starts = ends - lengths
    opens = (tables.turns["turn_index"] == 0).fill_null(value=False)
    before = pl.Series([0], dtype=pl.Int64).append(opens.cast(pl.Int64).cum_sum())  # openings before each turn
    begin, end = before.gather(starts), before.gather(ends)
    messages = pl.DataFrame(
        {
            "number": numbers,
            "start": starts.gather(rows),
            "has_turns": (lengths > 0).gather(rows),
            "begin": begin.gather(rows),
            "end": end.gather(rows),
        }
    )
    is_placed = (pl.col("number") >= 0) & (pl.col("end") > pl.col("begin"))
    opening = pl.min_horizontal(pl.col("begin") + pl.col("number"), pl.col("end") - 1)
    openings = opens.arg_true().cast(pl.Int64)
    at_opening = openings.gather(messages.select(pl.when(is_placed).then(opening)).to_series())
    first = pl.when("has_turns").then("start")
    return messages.select(turn=pl.when(is_placed).then(at_opening).otherwise(first)).to_series()


def _add(column: pl.Series, messages: pl.DataFrame, of_list: str) -> pl.Series:
    """Return a column of messages with more in its lists: system messages in front, users' messages behind.

    Args:
        column: The lists.
        messages: One row per message, in the order of the lists: `role`, `content` and the row of its list.
        of_list: The name of the column with that row.
    """
    added = messages.select(pl.col(of_list).cast(pl.Int64).alias("list"), "role", "content")
    present = column.list.len()
    if (present > 0).any():
        added = _merged(column, present, added)
    runs = added["list"].rle().struct.unnest()
    lengths = pl.zeros(len(column), dtype=pl.UInt32, eager=True).scatter(runs["value"], runs["len"])
    names = added["name"] if "name" in added.columns else pl.repeat(None, added.height, dtype=pl.String, eager=True)
    fields = {"role": arrow(added["role"]), "content": arrow(added["content"]), "name": arrow(names)}
    return pl.Series(column.name, lists(lengths, structs(fields)), dtype=pl.List(MESSAGE))


def _merged(column: pl.Series, present: pl.Series, added: pl.DataFrame) -> pl.DataFrame:
    """Return the messages that lists hold together with those added, in the order of the lists."""
    kept = pl.DataFrame({"list": pl.int_range(len(column), eager=True), "message": column}).filter(present > 0)
    is_system = pl.col("role") == "system"
    parts = [added.filter(is_system), kept.explode("message").unnest("message"), added.filter(~is_system)]
    return pl.concat(parts, how="diagonal").sort("list", maintain_order=True)
