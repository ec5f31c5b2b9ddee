"""Message rows: lines of JSON, each with a list of messages, as most published sets are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from polars_export.inputs.dialect import Match
from polars_export.inputs.message_rows.decoder import RowDecoder
from polars_export.inputs.message_rows.recognise import USUAL_FIELDS, messages_field

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from polars_export.json_values import Json
    from polars_export.tables.projection import Projection

__all__ = [
    "EXPECTED",
    "MARKERS",
    "NAME",
    "decoder",
    "describe_other",
    "has_own_keys",
    "matches_keys",
    "matches_record",
]

NAME = "message-rows"
EXPECTED = "a row with one list of messages (objects with `role` or `from`)"
MARKERS = (b'"role"', b'"from"')


def matches_keys(_keys: AbstractSet[str], /) -> Match | None:
    """Return nothing: any field may hold the messages."""
    return None


def matches_record(record: Json, /) -> Match | None:
    """Return whether a line has one list of messages.

    Raises:
        AmbiguousError: It has several.
    """
    field = messages_field(record)
    return None if field is None else Match(NAME, settings=field)


def has_own_keys(keys: AbstractSet[str], /) -> bool:
    """Return whether broken JSON with these keys is a damaged row."""
    return bool(keys & USUAL_FIELDS)


def describe_other(keys: AbstractSet[str], /) -> str | None:
    """Say what is wrong with rows that are none."""
    if "metadata" not in keys and (names := sorted(keys & USUAL_FIELDS)):
        return f"expected rows of one line each, with a list of messages in `{names[0]}`; found none in the first line"
    return None


def decoder(match: Match, projection: Projection, /, *, sort_arguments: bool) -> RowDecoder:
    """Return what decodes the rows of a source."""
    return RowDecoder(cast("str", match.settings), projection, sort_arguments=sort_arguments)
