"""Tool calls of any spelling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.json_values import describe_value
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.json_text import from_text
from polars_export.messages.records import Function, ToolCall

if TYPE_CHECKING:
    from polars_export.json_values import Json

__all__ = ["optional_id", "read_call", "read_calls"]

_ARGUMENTS = ("arguments", "input")


def read_calls(value: Json, path: str) -> list[ToolCall]:
    """Return the calls of a message: an array of calls, or JSON of one.

    Raises:
        InvalidRecordError: It is something else, or a call is not understood.
    """
    calls = from_text(value)
    if calls is None:
        return []
    if not isinstance(calls, list):
        raise InvalidRecordError(path, "an array of tool calls or null", describe_value(calls))
    return [read_call(call, f"{path}[{index}]") for index, call in enumerate(calls)]


def read_call(value: Json, path: str) -> ToolCall:
    """Return a call: nested or flat, or JSON of one; the arguments stay as they are.

    Raises:
        InvalidRecordError: It is something else.
    """
    call = from_text(value)
    if not isinstance(call, dict):
        raise InvalidRecordError(path, "a tool call", describe_value(call))
    function, at = call, path
    if isinstance(call.get("function"), dict):
        function, at = call["function"], f"{path}.function"
    name = function.get("name")
    if not isinstance(name, str):
        raise InvalidRecordError(
            f"{at}.name", "a string", describe_value(name) if "name" in function else "no such field"
        )
    arguments: Json = next((function[field] for field in _ARGUMENTS if field in function), {})
    return ToolCall(Function(name, arguments), optional_id(call, ("call_id", "id"), path))


def optional_id(value: dict[str, Json], fields: tuple[str, ...], path: str) -> str | None:
    """Return the id in the first of some fields that has one; None without.

    Raises:
        InvalidRecordError: It is neither a string nor an integer.
    """
    field = next((field for field in fields if value.get(field) is not None), None)
    if field is None:
        return None
    given = value[field]
    if isinstance(given, str):
        return given
    if isinstance(given, int) and not isinstance(given, bool):
        return str(given)
    raise InvalidRecordError(f"{path}.{field}", "a string, an integer or null", describe_value(given))
