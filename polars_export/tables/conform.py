"""Bring a frame to the columns of a table: types cast where nothing is lost, nulls and missing columns filled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from polars_export.errors import SourceError
from polars_export.tables import lossless
from polars_export.tables.json_columns import flat, nested
from polars_export.tables.schema import MESSAGE
from polars_export.tables.score import score

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from polars_export.tables.schema import Column

__all__ = ["completed", "conformed"]

_MAY_BE_NULL = ("tools",)
"""Columns of lists in which null is not the same as an empty list."""

_VERDICTS = ("pass", "fail")
_ROLES = ("system", "user")


def conformed(
    table: str, frame: pl.DataFrame, columns: Sequence[Column], required: Collection[str], recounted: Collection[str]
) -> pl.DataFrame:
    """Return a frame with the columns of a table, but for some, and behind them its own.

    Args:
        table: Names the table in an error.
        frame: The rows.
        columns: The columns of the table.
        required: Those that the frame must have.
        recounted: Those that are left out, as they are counted anew.

    Raises:
        SourceError: A column is missing or of another type, or a value cannot be used.
    """
    found: dict[str, pl.Series] = {}
    for column in columns:
        if column.name not in frame.columns:
            if column.name in required:
                raise SourceError(table, f"column {column.name} is missing; expected {column.dtype}")
        elif column.name not in recounted:
            found[column.name] = _cast(table, frame[column.name], column)
    missing = {column.name: column for column in columns if column.name not in found and column.name not in recounted}
    checked = frame.drop([column.name for column in columns], strict=False).with_columns(**found)
    for name in required:
        if name in found and name != "text" and checked[name].null_count():
            raise SourceError(table, f"column {name}: expected a value in each row, found null")
    checked = checked.with_columns(_filled(table, checked[name]) for name in found)
    defaults = {name: _default(column, checked) for name, column in missing.items()}
    checked = checked.with_columns(**{name: default for name, default in defaults.items() if name != "score"})
    if "score" in missing:
        checked = checked.with_columns(recorded_score=pl.lit(None, pl.Float64)).with_columns(score())
        checked = checked.drop("recorded_score")
    return checked


def completed(frame: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """Return a frame with the columns of a table in their order, and behind them its own."""
    known = [column.name for column in columns]
    return frame.select(*known, *(name for name in frame.columns if name not in set(known)))


def _cast(table: str, series: pl.Series, column: Column) -> pl.Series:
    try:
        return lossless.cast(series, column.dtype)
    except lossless.LossyCastError as error:
        raise SourceError(table, f"column {column.name}: expected {column.dtype}, found {error}") from None


def _default(column: Column, frame: pl.DataFrame) -> pl.Expr:
    """Return the value of a column that a frame lacks."""
    value: object = None
    if column.name == "thinking_blocks" and "reasoning" in frame.columns:
        return pl.col("reasoning").is_not_null().cast(column.dtype)
    if isinstance(column.dtype, pl.List) and column.name not in _MAY_BE_NULL:
        value = []
    elif column.dtype == pl.Boolean:
        value = False
    elif column.dtype == pl.UInt32:
        value = 0
    return pl.lit(value, dtype=column.dtype)


def _filled(table: str, series: pl.Series) -> pl.Series:
    """Return a column without the nulls that a table does not have.

    Raises:
        SourceError: A value cannot be used.
    """
    if series.name in _CHECKS:
        _CHECKS[series.name](table, series)
    if isinstance(series.dtype, pl.List) and series.name not in _MAY_BE_NULL:
        series = series.fill_null(pl.Series([[]], dtype=series.dtype)) if series.null_count() else series
    elif series.dtype == pl.Boolean:
        series = series.fill_null(value=False)
    elif series.dtype == pl.UInt32 and series.name != "turn":
        series = series.fill_null(0)
    elif series.name == "text":
        series = series.fill_null("")
    if series.name in _ITEM_DEFAULTS:
        return _with_items_filled(table, series, _ITEM_DEFAULTS[series.name])
    return series


_ITEM_DEFAULTS: dict[str, tuple[str, dict[str, object]]] = {
    "preceding": ("role", {"content": ""}),
    "closing": ("role", {"content": ""}),
    "tool_calls": ("name", {"arguments": "{}"}),
    "tool_results": ("", {"text": "", "is_error": False}),
}
"""Of columns of lists the field that every item must have, and what stands for a null in others."""


def _with_items_filled(table: str, series: pl.Series, rule: tuple[str, dict[str, object]]) -> pl.Series:
    required, defaults = rule
    items = flat(series)
    fields = items.struct.unnest()
    if required and fields[required].null_count():
        raise SourceError(table, f"column {series.name}: expected a {required} in each item, found null")
    if series.dtype.inner == MESSAGE:  # type: ignore[attr-defined] # of a list
        _check_among(table, fields["role"].alias(f"{series.name}.role"), _ROLES)
    if not any(fields[name].null_count() for name in defaults):
        return series
    filled = fields.with_columns(pl.col(name).fill_null(value) for name, value in defaults.items())
    return nested(filled.to_struct(series.name), series)


def _check_among(table: str, series: pl.Series, known: Sequence[str]) -> None:
    other = series.drop_nulls().filter(~series.drop_nulls().is_in(known))
    if len(other):
        raise SourceError(table, f"column {series.name}: expected one of {', '.join(known)}, found {other[0]!r}")


def _check_verdict(table: str, series: pl.Series) -> None:
    _check_among(table, series, _VERDICTS)


def _check_score(table: str, series: pl.Series) -> None:
    if not series.is_finite().all():
        raise SourceError(table, "column score: expected a finite number or null, found NaN or infinity")


_CHECKS: dict[str, Callable[[str, pl.Series], None]] = {"verdict": _check_verdict, "score": _check_score}
