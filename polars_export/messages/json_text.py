"""JSON inside JSON: values that stand as texts, and texts that are made of values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from polars_export.json_values import parse
from polars_export.messages.invalid_record import InvalidRecordError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polars_export.json_values import Json
    from polars_export.messages.records import Message

__all__ = ["decode_arguments", "from_text", "to_text"]

_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


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
        InvalidRecordError: It is nested too deeply.
    """
    try:
        return msgspec.json.encode(value).decode()
    except RecursionError:
        raise InvalidRecordError(path, "a JSON value", "one nested too deeply") from None


def decode_arguments(messages: Sequence[Message], path: str) -> None:
    """Replace arguments that are the JSON of an object by the object; other texts are arguments as they are.

    Raises:
        InvalidRecordError: They are nested too deeply.
    """
    for message in messages:
        for call in message.tool_calls or ():
            arguments = call.function.arguments
            if type(arguments) is not str:
                continue
            try:
                call.function.arguments = _decode_object(arguments)
            except msgspec.MsgspecError:
                continue
            except RecursionError:
                raise InvalidRecordError(path, "arguments that can be read", "some nested too deeply") from None
