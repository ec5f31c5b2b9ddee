"""Texts that a sample keeps apart: where they belong stands a name that is made of their content."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polars_export.json_values import Json

__all__ = ["attached", "resolved"]

_ATTACHMENT = "attachment://"


def attached(text: str, attachments: dict[str, Json]) -> str:
    """Return the text that an attachment stands for; any other text, and one that is not there, as it is."""
    if not text.startswith(_ATTACHMENT):
        return text
    kept = attachments.get(text.removeprefix(_ATTACHMENT))
    return kept if isinstance(kept, str) else text


def resolved(value: Json, attachments: dict[str, Json]) -> Json:
    """Return a value with the texts that are kept apart in their places, and without fields that are null."""
    if isinstance(value, str):
        return attached(value, attachments)
    if isinstance(value, list):
        return [resolved(item, attachments) for item in value]
    if isinstance(value, dict):
        return {key: resolved(item, attachments) for key, item in value.items() if item is not None}
    return value
