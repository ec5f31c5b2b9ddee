"""Function schemas of any spelling, as OpenAI writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.json_values import describe_value
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.json_text import from_text, to_text

if TYPE_CHECKING:
    from polars_export.json_values import Json

__all__ = ["tool_schemas"]

_FLAT_FIELDS: dict[Json, str] = {"input_schema": "parameters"}  # as Anthropic names them


def tool_schemas(value: Json, path: str) -> list[str] | None:
    """Return function schemas as JSON texts, of an array of them or of JSON of one; None for null.

    Raises:
        InvalidRecordError: Something in it is no function schema.
    """
    tools = from_text(value)
    if tools is None:
        return None
    if not isinstance(tools, list):
        raise InvalidRecordError(path, "an array of function schemas, or JSON of one", describe_value(tools))
    return [_schema(tool, f"{path}[{index}]") for index, tool in enumerate(tools)]


def _schema(tool: Json, path: str) -> str:
    """Return a function schema in OpenAI's spelling; flat ones and those of Anthropic are brought to it."""
    value = from_text(tool)
    if not isinstance(value, dict):
        raise InvalidRecordError(path, "a function schema", describe_value(value))
    function = value.get("function")
    if isinstance(function, dict):
        if not isinstance(function.get("name"), str):
            raise InvalidRecordError(f"{path}.function.name", "a string", _describe_field(function, "name"))
    elif isinstance(value.get("name"), str):
        flat = {_FLAT_FIELDS.get(key, key): item for key, item in value.items() if key != "type"}
        value = {"type": "function", "function": flat}
    else:
        raise InvalidRecordError(path, "a function schema (`function`, or `name`)", "an object without")
    return to_text(value, path)


def _describe_field(value: dict[str, Json], name: str) -> str:
    return describe_value(value[name]) if name in value else "no such field"
