"""JSON inside JSON: values that stand as texts, and texts that are made of values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polars_export.inputs.message_rows.invalid_row import InvalidRowError
from polars_export.json_values import parse

if TYPE_CHECKING:
    from polars_export.json_values import Json

__all__ = ["from_text", "to_text"]


def from_text(value: Json) -> Json:
    """Return the value of a JSON text; a text that is none, and any other value, as it is."""
    if not isinstance(value, str):
        return value
    try:
        return parse(value.encode())
    except ValueError:
        return value


def to_text(value: Json, path: str) -> str:
    """Return a value as compact JSON.

    Raises:
        InvalidRowError: It is nested too deeply.
    """
    try:
        return msgspec.json.encode(value).decode()
    except RecursionError:
        raise InvalidRowError(path, "a JSON value", "one nested too deeply") from None
