"""Cast columns to the types of the tables where no value changes by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from polars_export.tables.json_columns import flat, nested

if TYPE_CHECKING:
    from polars.datatypes import DataType, DataTypeClass

__all__ = ["LossyCastError", "cast"]


class LossyCastError(Exception):
    """A column cannot be cast without a change of its values; the text says what was found."""


def cast(series: pl.Series, dtype: DataType) -> pl.Series:
    """Return a column as another type: numbers of another width, texts of categories, structs with fields added.

    Raises:
        LossyCastError: A value would change, or the column is of another kind.
    """
    if series.dtype == dtype:
        return series
    if not _fits(series.dtype, dtype):
        raise LossyCastError(str(series.dtype))
    if isinstance(series.dtype, pl.Null):
        return series.cast(dtype)
    if isinstance(dtype, pl.List):
        column = series.arr.to_list() if isinstance(series.dtype, pl.Array) else series
        return nested(cast(flat(column), _type(dtype.inner)), column)
    if isinstance(dtype, pl.Struct):
        return _cast_fields(series, dtype)
    try:
        converted = series.cast(dtype)
        is_same = converted.cast(series.dtype).equals(series)
    except pl.exceptions.PolarsError:
        is_same = False
    if not is_same:
        raise LossyCastError(f"{series.dtype} with values that it cannot hold")
    return converted


def _cast_fields(series: pl.Series, dtype: pl.Struct) -> pl.Series:
    """Return structs with all fields of a type, in its order; Polars itself would go by the places of the fields."""
    fields, missing = series.struct.unnest(), pl.repeat(None, len(series), dtype=pl.Null, eager=True)
    columns = {name: cast(fields[name] if name in fields.columns else missing, _type(kind)) for name, kind in dtype}
    return pl.DataFrame(columns).to_struct(series.name)


def _fits(found: DataType, expected: DataType) -> bool:
    """Return whether a type is of the same kind as another; whether each value fits is seen as it is cast."""
    if isinstance(found, pl.Null):
        return True
    if isinstance(expected, pl.List):
        return isinstance(found, (pl.List, pl.Array)) and _fits(_type(found.inner), _type(expected.inner))
    if isinstance(expected, pl.Struct):
        known = dict(expected)
        return isinstance(found, pl.Struct) and all(
            name in known and _fits(_type(dtype), _type(known[name])) for name, dtype in found
        )
    if isinstance(expected, pl.String):
        return isinstance(found, (pl.String, pl.Categorical, pl.Enum))
    if isinstance(expected, pl.Boolean):
        return isinstance(found, pl.Boolean)
    return found.is_numeric()


def _type(dtype: DataType | DataTypeClass) -> DataType:
    """Return a type, of which Polars may name the class."""
    return dtype if isinstance(dtype, pl.DataType) else dtype()
