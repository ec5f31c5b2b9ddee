"""Values of fields that may be anything, as what they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polars_export.json_values import Json

__all__ = ["name_of", "object_of", "text_of"]


def object_of(value: Json) -> dict[str, Json]:
    """Return a value that is an object; of any other an empty one."""
    return value if isinstance(value, dict) else {}


def text_of(value: Json) -> str | None:
    """Return a value that is a text and not empty; None for any other."""
    return value if isinstance(value, str) and value else None


def name_of(value: Json) -> str | None:
    """Return a name or number as a text; None for any other value."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text_of(value)
