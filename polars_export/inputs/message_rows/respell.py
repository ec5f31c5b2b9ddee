"""Messages whose fields and roles are named as the user says, brought to the usual names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polars_export.json_values import Json
    from polars_export.mapping import RowMapping

__all__ = ["respell"]


def respell(messages: Json, mapping: RowMapping) -> Json:
    """Return messages with the names of fields and roles that a mapping gives replaced; what is none as it is."""
    if not (mapping.message or mapping.roles) or not isinstance(messages, list):
        return messages
    fields = {given: usual for usual, given in mapping.message}
    roles = dict(mapping.roles)
    return [_respell(message, fields, roles) if isinstance(message, dict) else message for message in messages]


def _respell(message: dict[str, Json], fields: dict[str, str], roles: dict[str, str]) -> dict[str, Json]:
    replaced = set(fields.values())  # a field that has the usual name without its meaning
    named = {fields.get(key, key): value for key, value in message.items() if key in fields or key not in replaced}
    for field in ("role", "from"):
        role = named.get(field)
        if isinstance(role, str) and role in roles:
            named[field] = roles[role]
    return named
