"""Records as JSON lines: compact, UTF-8 unescaped but for quotes, backslashes and control characters."""

from __future__ import annotations

import io
import re
import secrets
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from polars_export.tables.nested import arrow, lists, structs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["encode"]

_POSITIVE_EXPONENT = re.compile(rb'(?<!\\)(":-?[0-9.]+e)\+')  # of a number that is the value of a key

_LEAST_WITH_EXPONENT = 1e16


def encode(records: pa.Table, schema: pa.Schema, absent: Sequence[str]) -> bytes:
    """Return records as JSON lines; of the keys named in `absent`, those that are null are left out.

    Polars writes every key. Cutting the nulls out of its text is exact: inside a string the quotes would be escaped.
    Such a key must not be the first of its object. Columns that the schema calls JSON stand in the records as text;
    they are put in their places last, so that nothing is cut out of them.
    """
    marks = _Marks()
    columns = [marks.mark(records[field.name].combine_chunks(), field.type) for field in schema]
    buffer = io.BytesIO()
    pl.DataFrame(pa.table(columns, names=schema.names)).write_ndjson(buffer)
    text = buffer.getvalue()
    if any(map(_has_positive_exponents, columns)):  # the reference writes 1e20 where Polars writes 1e+20
        text = _POSITIVE_EXPONENT.sub(rb"\1", text)
    for key in absent:
        text = b"".join(text.split(b',"%s":null' % key.encode()))  # `replace` would search twice
    return marks.fill(text)


class _Marks:
    """Marks in the places of JSON values, which no text can hold by chance, and the values that belong there."""

    def __init__(self) -> None:
        self._name = secrets.token_hex(8)
        self._values: list[Iterator[str | None]] = []

    def mark(self, array: pa.Array, kind: pa.DataType) -> pa.Array:
        """Return an array with a mark in the place of every JSON value."""
        if isinstance(kind, pa.JsonType):
            values = pl.Series(array.storage if isinstance(array, pa.ExtensionArray) else array)
            self._values.append(iter(values.drop_nulls().to_list()))
            name = f"{self._name}-{len(self._values) - 1}"
            marks = values.to_frame("value").select(pl.when(pl.col("value").is_not_null()).then(pl.lit(name)))
            return arrow(marks.to_series())
        if not _holds_json(kind):
            return array
        if pa.types.is_struct(kind):
            parts = zip(array.flatten(), kind, strict=True)
            return structs({field.name: self.mark(part, field.type) for part, field in parts})
        column = pl.Series(array)
        values = array.flatten()
        marked = lists(column.list.len().fill_null(0), self.mark(values, kind.value_type))
        return marked if not column.null_count() else _with_nulls(marked, array)

    def fill(self, text: bytes) -> bytes:
        """Return a text with the values in the places of their marks."""
        if not self._values:
            return text
        pieces: list[bytes] = re.split(rb'"%s-(\d+)"' % self._name.encode(), text)
        pieces[1::2] = [next(self._values[int(mark)]).encode() for mark in pieces[1::2]]  # type: ignore[union-attr]
        return b"".join(pieces)


def _has_positive_exponents(array: pa.Array) -> bool:
    """Return whether an array holds numbers that are written with an exponent; looking at the text takes far longer."""
    if pa.types.is_floating(array.type):
        return any(abs(bound) >= _LEAST_WITH_EXPONENT for bound in pc.min_max(array).as_py().values() if bound)
    if pa.types.is_nested(array.type):
        return any(map(_has_positive_exponents, array.flatten() if pa.types.is_struct(array.type) else [array.values]))
    return False


def _holds_json(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.JsonType):
        return True
    return any(_holds_json(kind.field(index).type) for index in range(kind.num_fields))


def _with_nulls(marked: pa.ListArray, like: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(marked.offsets, marked.values, mask=like.is_null())
