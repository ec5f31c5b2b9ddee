"""Recognise rows of messages by what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.inputs.dialect import AmbiguousError
from polars_export.inputs.message_rows.records import OWN_FIELDS

if TYPE_CHECKING:
    from polars_export.json_values import Json

__all__ = ["USUAL_FIELDS", "messages_field"]

USUAL_FIELDS = frozenset({"messages", "conversations", "conversation", "trajectory", "traj"})
"""Fields of this name hold messages also where the first row has none."""

_PAIR = frozenset({"chosen", "rejected", "preferred_output", "non_preferred_output"})  # made of traces, and none
_SIDES = frozenset({"prompt", "completion"})


def messages_field(row: Json) -> str | None:
    """Return the field of a row that holds its messages; None if it is no row of messages.

    Raises:
        AmbiguousError: Several fields may hold them.
    """
    if not isinstance(row, dict) or _PAIR & row.keys() or _is_export(row):
        return None
    fields = [name for name, value in row.items() if name not in OWN_FIELDS and _may_be_messages(name, value)]
    if len(fields) > 1:
        options = " or ".join(f"--map messages={name}" for name in fields)
        names = " and ".join(fields)
        raise AmbiguousError(f"expected one field with messages, found {names}; say which ({options})")
    return fields[0] if fields else None


def _may_be_messages(name: str, value: Json) -> bool:
    if not isinstance(value, list):
        return False
    if not value:
        return name in USUAL_FIELDS | _SIDES
    return any(isinstance(item, dict) and ("role" in item or {"from", "value"} <= item.keys()) for item in value)


def _is_export(row: dict[str, Json]) -> bool:
    """Return whether a row is a record of an export of ours, which says in its metadata what trace it was made from."""
    metadata = row.get("metadata")
    return isinstance(metadata, dict) and {"case_id", "score"} <= metadata.keys()
