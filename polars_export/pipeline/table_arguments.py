"""Arguments of tool calls in tables, written as records have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from polars_export.errors import SourceError
from polars_export.json_values import parse
from polars_export.messages.arguments import ArgumentEncoder
from polars_export.tables.json_columns import flat, nested
from polars_export.tables.projection import Projection
from polars_export.tables.tables import Tables

if TYPE_CHECKING:
    from polars_export.json_values import Json

__all__ = ["with_record_arguments"]

_LONG_INTEGER = r"\d{19}"  # so many digits an integer beyond 64 bits has at least
_SEVERAL_KEYS = ","  # without one, an object has no two keys, at any depth


def with_record_arguments(tables: Tables, *, sort_arguments: bool) -> Tables:
    """Return tables whose tool-call arguments are as files are decoded to for records.

    Integers beyond 64 bits become numbers in double precision, and keys are sorted where the target asks for that; see
    `ArgumentEncoder`. Only the texts that may change are decoded.

    Raises:
        SourceError: An argument is no JSON.
    """
    calls = tables.turns["tool_calls"]
    items = flat(calls)
    arguments = items.struct.field("arguments")
    pattern = f"{_SEVERAL_KEYS}|{_LONG_INTEGER}" if sort_arguments else _LONG_INTEGER
    places = arguments.str.contains(pattern).fill_null(value=False).arg_true()
    if not len(places):
        return tables
    values = [_decoded(text) for text in arguments.gather(places)]
    encoded = ArgumentEncoder(Projection.RECORDS, sort_arguments=sort_arguments).encode(values)
    written = arguments.scatter(places, pl.Series(encoded, dtype=pl.String))
    changed = items.struct.unnest().with_columns(arguments=written).to_struct("tool_calls")
    return Tables(tables.traces, tables.turns.with_columns(nested(changed, calls).alias("tool_calls")))


def _decoded(text: str) -> Json:
    try:
        return parse(text.encode())
    except ValueError as error:
        raise SourceError(
            "turns", f"column tool_calls.arguments: expected JSON, found text that is not ({error})"
        ) from None
