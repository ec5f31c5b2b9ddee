"""Recognise rows of messages by what is in them, and check a mapping against them."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from polars_export.inputs.dialect import AmbiguousError
from polars_export.inputs.message_rows.python_rows import import_function
from polars_export.inputs.message_rows.rows import OWN_FIELDS, lookup
from polars_export.mapping import Constant, show_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from polars_export.json_values import Json
    from polars_export.mapping import FieldPath, RowMapping

__all__ = ["USUAL_FIELDS", "messages_fields", "resolve"]

USUAL_FIELDS = frozenset({"messages", "conversations", "conversation", "trajectory", "traj"})
"""Fields of this name hold messages also where the first row has none."""

_PAIR = frozenset({"chosen", "rejected", "preferred_output", "non_preferred_output"})  # made of traces, and none
_TABLES = ({"trace", "turn", "preceding"}, {"trace", "closing", "case_id"})
_SIDES = ("prompt", "completion")
_MOST_NAMED = 12


def messages_fields(row: Json) -> tuple[FieldPath, ...]:
    """Return the fields of a row that hold its messages, one behind the other; none if it is no row of messages.

    Raises:
        AmbiguousError: Several fields may hold them.
    """
    if not isinstance(row, dict) or _PAIR & row.keys() or _is_export(row):
        return ()
    fields = [name for name, value in row.items() if name not in OWN_FIELDS and _may_be_messages(name, value)]
    if set(fields) == set(_SIDES):
        return tuple((side,) for side in _SIDES)
    if len(fields) > 1:
        options = " or ".join(f"--map messages={name}" for name in fields)
        names = " and ".join(fields)
        raise AmbiguousError(f"expected one field with messages, found {names}; say which ({options})")
    return tuple((field,) for field in fields)


def resolve(mapping: RowMapping, rows: Sequence[Json]) -> RowMapping:
    """Return a mapping with the fields of the messages, if it does not say them.

    Args:
        mapping: What the user says.
        rows: The first rows of a source.

    Raises:
        AmbiguousError: A path of it leads to nothing in any of them, or the messages are not found.
    """
    objects = [row for row in rows if isinstance(row, dict)]
    if mapping.python:
        import_function(mapping.python)
        return mapping
    for key, path in _paths(mapping):
        if not any(lookup(row, path) is not None for row in objects) and not _is_there(objects, path):
            raise AmbiguousError(_nothing_found(key, path, objects))
    if mapping.messages:
        return mapping
    fields = next((fields for row in objects if (fields := messages_fields(row))), ())
    if not fields:
        named = _named(objects)
        raise AmbiguousError(f"expected a list of messages, found {named}; say which it is (--map messages=FIELD)")
    return replace(mapping, messages=fields)


def _paths(mapping: RowMapping) -> Iterator[tuple[str, FieldPath]]:
    yield from (("messages", path) for path in mapping.messages)
    yield from ((key, path) for key, path in mapping.fields if not isinstance(path, Constant))
    if mapping.verdict:
        yield "verdict", mapping.verdict
    yield from ((f"extra.{name}", extra.path) for name, extra in mapping.extra)


def _is_there(rows: Sequence[dict[str, Json]], path: FieldPath) -> bool:
    """Return whether some row has the first field of a path, though without a value: a later row may have one."""
    return any(path[0] in row and row[path[0]] is None for row in rows) or (
        len(path) == 1 and any(path[0] in row for row in rows)
    )


def _nothing_found(key: str, path: FieldPath, rows: Sequence[dict[str, Json]]) -> str:
    close = get_close_matches(path[0], {name for row in rows for name in row}, 1)
    hint = f"; did you mean {close[0]}?" if close and close[0] != path[0] else ""
    found = _named(rows)
    return f"--map {key}={show_path(path)} finds nothing; the fields are {found}{hint}"


def _named(rows: Sequence[dict[str, Json]]) -> str:
    names = list(dict.fromkeys(name[:40] for row in rows for name in row))
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return (", ".join(names[:_MOST_NAMED]) + more) or "no object"


def _may_be_messages(name: str, value: Json) -> bool:
    if not isinstance(value, list):
        return False
    if not value:
        return name in USUAL_FIELDS or name in _SIDES
    return any(isinstance(item, dict) and ("role" in item or {"from", "value"} <= item.keys()) for item in value)


def _is_export(row: dict[str, Json]) -> bool:
    """Return whether a row is a record of an export, whose metadata name its trace, or of stored tables."""
    metadata = row.get("metadata")
    is_record = isinstance(metadata, dict) and {"case_id", "score"} <= metadata.keys()
    return is_record or any(columns <= row.keys() for columns in _TABLES)
