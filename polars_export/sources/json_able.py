"""Make the columns of any table such that Polars writes them as JSON."""

from __future__ import annotations

import polars as pl

__all__ = ["json_able"]


def json_able(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame of values that JSON can hold: decimals as numbers, and null for bytes, such as those of images."""
    odd = [_plain(pl.col(name), dtype).alias(name) for name, dtype in frame.schema.items() if not _is_plain(dtype)]
    return frame.with_columns(odd) if odd else frame


def _is_plain(dtype: pl.DataType) -> bool:
    if isinstance(dtype, pl.List | pl.Array):
        return isinstance(dtype, pl.List) and _is_plain(_inner(dtype))
    if isinstance(dtype, pl.Struct):
        return all(_is_plain(field.dtype) for field in dtype.fields)  # type: ignore[arg-type] # instances, in a frame
    return not isinstance(dtype, pl.Binary | pl.Decimal)


def _plain(values: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if _is_plain(dtype):
        return values
    if isinstance(dtype, pl.Array):
        return _plain(values.arr.to_list(), pl.List(_inner(dtype)))
    if isinstance(dtype, pl.List):
        return values.list.eval(_plain(pl.element(), _inner(dtype)))
    if isinstance(dtype, pl.Struct):
        fields = [_plain(pl.field(field.name), field.dtype).alias(field.name) for field in dtype.fields]  # type: ignore[arg-type]
        return values.struct.with_fields(fields)
    if isinstance(dtype, pl.Decimal):
        return values.cast(pl.Float64)
    nothing = pl.lit(None, dtype=pl.String)
    return pl.when(values.is_null()).then(nothing).otherwise(nothing)


def _inner(dtype: pl.List | pl.Array) -> pl.DataType:
    return dtype.inner  # type: ignore[return-value] # an instance, in a frame
