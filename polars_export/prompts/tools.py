"""Tool definitions: the functions that an agent could call, which the records of its runs leave out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from polars_export.errors import BadRecordError, SourceError
from polars_export.json_values import describe_value, first_mismatch, parse
from polars_export.sources.stream import STDIN, ByteStream
from polars_export.sources.window import Window

if TYPE_CHECKING:
    from polars_export.sources.find import Source

__all__ = ["Tools", "read_tools"]

Json: TypeAlias = Any
"""A decoded JSON value: None, bool, int, float, str, list or dict."""


class _Parameters(msgspec.Struct, frozen=True):
    """A JSON schema: any object."""


class _Function(msgspec.Struct):
    """What an agent may know of a function; fields with a default may be missing."""

    name: str
    description: str = ""
    parameters: _Parameters = _Parameters()


class _FunctionSchema(msgspec.Struct):
    """One tool definition."""

    type: Literal["function"]
    function: _Function


@dataclass(frozen=True, slots=True)
class Tools:
    """The function schemas of every case, as compact JSON texts with the keys in the order of the file.

    Attributes:
        schemas: One list for every case, or one for each eval set.
    """

    schemas: list[str] | dict[str, list[str]]

    def of(self, eval_set_id: str | None) -> list[str]:
        """Return the function schemas of an eval set's cases: none where the file does not name the eval set."""
        if isinstance(self.schemas, list):
            return self.schemas
        return [] if eval_set_id is None else self.schemas.get(eval_set_id, [])


def read_tools(path: Source) -> Tools:
    """Read a JSON array of function schemas for every case, or an object from eval-set id to such an array.

    Raises:
        SourceError: The file is missing, unreadable or empty.
        BadRecordError: It is not valid JSON, or not a function schema where one should stand.
    """
    file = os.fspath(path)
    value = _read(file)
    match value:
        case list():
            return Tools(_schemas(file, value, "$"))
        case dict():
            return Tools({eval_set: _schemas(file, as_list, f"$.{eval_set}") for eval_set, as_list in value.items()})
    expected = "an array of function schemas, or an object from eval-set id to such an array"
    raise BadRecordError(file, None, "$", expected, describe_value(value))


def _read(file: str) -> Json:
    if file == STDIN:
        raise SourceError(file, "tool definitions are not read from standard input; give a file")
    with ByteStream(file) as stream:
        window = Window(stream)
        while window.more():
            pass
        data = bytes(window.view(len(window)))
    if not data or data.isspace():
        raise SourceError(file, "the file is empty")
    try:
        return parse(data)
    except ValueError as error:
        raise BadRecordError(file, None, "$", "valid JSON", f"text that is not ({error})") from None


def _schemas(file: str, as_list: Json, path: str) -> list[str]:
    if not isinstance(as_list, list):
        raise BadRecordError(file, None, path, "an array of function schemas", describe_value(as_list))
    for index, schema in enumerate(as_list):
        if mismatch := first_mismatch(_FunctionSchema, schema, f"{path}[{index}]"):
            raise BadRecordError(file, None, *mismatch)
    return [msgspec.json.encode(schema).decode() for schema in as_list]
