"""Check the JSON texts that the tables hold, and write them in compact form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import polars as pl

from polars_export.errors import SourceError
from polars_export.json_values import describe_value, parse
from polars_export.tables.nested import arrow, lists

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["compact_json", "flat", "nested"]


def flat(column: pl.Series) -> pl.Series:
    """Return the items of all lists of a column; empty lists and nulls have none."""
    return column.explode(empty_as_null=False, keep_nulls=False)


def nested(items: pl.Series, like: pl.Series) -> pl.Series:
    """Return items as lists of the same lengths as those of a column, null where that is null."""
    made = pl.Series(like.name, lists(like.list.len().fill_null(0), arrow(items))).cast(pl.List(items.dtype))
    if not like.null_count():
        return made
    return made.to_frame().select(pl.when(like.is_not_null()).then(pl.col(like.name))).to_series()


def compact_json(values: pl.Series, table: str, column: str, *, is_object: bool = False) -> pl.Series:
    """Return JSON texts in compact form, as the readers of files write them; null stays null.

    Args:
        values: The texts.
        table: Names the table in an error.
        column: Names the column in an error.
        is_object: Whether each must be an object.

    Raises:
        SourceError: A text is not valid JSON, or no object.
    """
    return pl.Series(values.name, list(_compact(values, table, column, is_object=is_object)), dtype=pl.String)


def _compact(values: Iterable[str | None], table: str, column: str, *, is_object: bool) -> Iterable[str | None]:
    expected = "a JSON object" if is_object else "JSON"
    for place, value in enumerate(values):
        if value is None:
            yield None
            continue
        try:
            decoded = parse(value.encode())
        except ValueError as error:
            problem = f"column {column}: expected {expected}, found text that is not ({error}), in value {place}"
            raise SourceError(table, problem) from None
        if is_object and not isinstance(decoded, dict):
            problem = f"column {column}: expected {expected}, found {describe_value(decoded)}, in value {place}"
            raise SourceError(table, problem)
        yield msgspec.json.encode(decoded).decode()
