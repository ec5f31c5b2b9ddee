"""Put prompts at their places before the turns of traces."""

from __future__ import annotations

import polars as pl

from polars_export.tables.nested import arrow, lists, structs
from polars_export.tables.schema import MESSAGE
from polars_export.tables.tables import Tables

__all__ = ["attach_messages"]


def attach_messages(tables: Tables, prompts: pl.DataFrame) -> Tables:
    """Return tables with prompts in `preceding` of their turns, and in `closing` of traces without turns.

    Args:
        tables: The traces.
        prompts: One row per trace: `system_prompt`, null without one, and `user_messages`, null or empty without any.
    """
    rows = pl.int_range(len(tables), eager=True)
    numbered = prompts.with_columns(row=rows)
    system = numbered.filter(pl.col("system_prompt").is_not_null()).select(
        "row", content="system_prompt", number=pl.lit(-1, pl.Int64)
    )
    user = (
        numbered.filter(pl.col("user_messages").list.len() > 0)
        .select("row", content="user_messages", number=pl.int_ranges(pl.col("user_messages").list.len()))
        .explode("content", "number")
    )
    if not (system.height or user.height):
        return tables
    system, user = system.with_columns(role=pl.lit("system")), user.with_columns(role=pl.lit("user"))
    turns = _turns_of(tables, system["row"], None), _turns_of(tables, user["row"], user["number"])
    placed_system, placed_user = system.with_columns(turns[0]), user.with_columns(turns[1])
    preceding = _add(
        tables.turns["preceding"], *(part.drop_nulls("turn").drop("row") for part in (placed_system, placed_user))
    )
    closing = _add(
        tables.traces["closing"],
        *(
            part.filter(pl.col("turn").is_null()).drop("turn").rename({"row": "turn"})
            for part in (placed_system, placed_user)
        ),
    )
    return Tables(tables.traces.with_columns(closing=closing), tables.turns.with_columns(preceding=preceding))


def _turns_of(tables: Tables, rows: pl.Series, numbers: pl.Series | None) -> pl.Series:
    """Return the row of `turns` before which each message stands, null in a trace without turns.

    Args:
        tables: The traces.
        rows: For each message the row of its trace.
        numbers: For each its number among the messages of the user; None for system prompts.
    """
    lengths = tables.traces["turns"].cast(pl.Int64)
    ends = lengths.cum_sum()
    starts = ends - lengths
    first = pl.select(pl.when(lengths.gather(rows) > 0).then(starts.gather(rows)).alias("turn")).to_series()
    if numbers is None or not len(rows):
        return first
    opens = (tables.turns["turn_index"] == 0).fill_null(value=False)
    open_turns = opens.arg_true().cast(pl.Int64)
    before = pl.Series([0], dtype=pl.Int64).append(opens.cast(pl.Int64).cum_sum())  # openings before each turn
    begin, end = before.gather(starts.gather(rows)), before.gather(ends.gather(rows))
    opening = pl.select(pl.min_horizontal(begin + numbers, end - 1).alias("opening")).to_series()
    has_opening = end > begin
    turn = open_turns.gather(pl.select(pl.when(has_opening).then(opening)).to_series())
    return pl.select(pl.when(has_opening).then(turn).otherwise(first).alias("turn")).to_series()


def _add(column: pl.Series, system: pl.DataFrame, user: pl.DataFrame) -> pl.Series:
    """Return a column of messages with more in its lists: system messages in front, users' messages behind.

    Args:
        column: The lists.
        system: One row per message: `turn`, the row of its list, `role` and `content`.
        user: The same, in the order in which they stand in a list.
    """
    if not (system.height or user.height):
        return column
    present = column.list.len()
    parts = [system, user]
    if (present > 0).any():
        kept = pl.DataFrame({"turn": pl.int_range(len(column), eager=True), "message": column})
        parts.insert(1, kept.filter(present > 0).explode("message").unnest("message"))
    messages = pl.concat(parts, how="diagonal").sort("turn", maintain_order=True)
    counts = messages.group_by("turn").len()
    lengths = pl.select(turn=pl.int_range(len(column))).join(counts, on="turn", how="left", maintain_order="left")[
        "len"
    ]
    names = (
        messages["name"]
        if "name" in messages.columns
        else pl.repeat(None, messages.height, dtype=pl.String, eager=True)
    )
    fields = {"role": arrow(messages["role"]), "content": arrow(messages["content"]), "name": arrow(names)}
    return pl.Series(column.name, lists(lengths.fill_null(0), structs(fields)), dtype=pl.List(MESSAGE))
