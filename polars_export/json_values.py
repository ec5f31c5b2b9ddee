"""JSON values: decode one without a type, name it in a message, and say where it departs from a record's type."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import msgspec
from msgspec import inspect

__all__ = ["Json", "Mismatch", "describe_value", "first_mismatch", "parse"]

Json: TypeAlias = Any
"""A decoded JSON value: None, bool, int, float, str, list or dict."""

_LONGEST_PREVIEW = 40


class Mismatch(NamedTuple):
    """The first place at which a value is not of its type."""

    json_path: str
    expected: str
    found: str


def parse(data: bytes | memoryview) -> Json:
    """Decode JSON without a type.

    Raises:
        ValueError: It is not valid JSON, not UTF-8, or nested too deeply to be read.
    """
    try:
        return msgspec.json.decode(data)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


_type_info = cache(inspect.type_info)  # which takes a millisecond


def first_mismatch(record_type: type[msgspec.Struct], value: Json, path: str) -> Mismatch | None:
    """Return the first mismatch in the order of the type's fields, or None if the value is of that type.

    Args:
        record_type: What the value should be.
        value: The decoded JSON value.
        path: JSON path of the value itself.
    """
    return _check(_type_info(record_type), value, path)


def describe_value(value: Json) -> str:
    """Name a JSON value for a message: its kind and, where it is short, the value."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return "an object"
        case list():
            return "an array"
        case str() | int() | float():
            return _preview(value)
    return f"a Python {type(value).__name__}"


def _preview(value: str | float) -> str:
    try:
        shown = json.dumps(value, ensure_ascii=False)
    except ValueError:  # Python writes no integers of more than a few thousand digits
        return "a very long number"
    if len(shown) > _LONGEST_PREVIEW:
        shown = shown[:_LONGEST_PREVIEW] + "…"
    return f"the {'string' if isinstance(value, str) else 'number'} {shown}"


def _check(kind: inspect.Type, value: Json, path: str) -> Mismatch | None:
    match kind:
        case inspect.StructType():
            return _check_struct(kind, value, path)
        case inspect.ListType():
            return _check_items(kind, value, path)
        case inspect.UnionType():
            return _check_union(kind, value, path)
    return None if _is_scalar(kind, value) else Mismatch(path, _expected(kind), describe_value(value))


def _check_struct(kind: inspect.StructType, value: Json, path: str) -> Mismatch | None:
    if not isinstance(value, dict):
        return Mismatch(path, "an object", describe_value(value))
    for field in kind.fields:
        at = f"{path}.{field.encode_name}"
        if field.encode_name in value:
            if mismatch := _check(field.type, value[field.encode_name], at):
                return mismatch
        elif field.required:
            return Mismatch(at, _expected(field.type), "no such field")
    return None


def _check_items(kind: inspect.ListType, value: Json, path: str) -> Mismatch | None:
    if not isinstance(value, list):
        return Mismatch(path, "an array", describe_value(value))
    checked = (_check(kind.item_type, item, f"{path}[{index}]") for index, item in enumerate(value))
    return next((mismatch for mismatch in checked if mismatch), None)


def _check_union(kind: inspect.UnionType, value: Json, path: str) -> Mismatch | None:
    tagged = {member.tag: member for member in kind.types if isinstance(member, inspect.StructType) and member.tag}
    if tagged:
        return _check_tagged(tagged, value, path)
    checked = [_check(member, value, path) for member in kind.types]
    if None in checked:
        return None
    inside = [mismatch for mismatch in checked if mismatch and mismatch.json_path != path]
    return inside[0] if inside else Mismatch(path, _expected(kind), describe_value(value))


def _check_tagged(members: dict[str | int, inspect.StructType], value: Json, path: str) -> Mismatch | None:
    if not isinstance(value, dict):
        return Mismatch(path, "an object", describe_value(value))
    tag = value.get("type")
    if not isinstance(tag, str) or tag not in members:
        found = describe_value(tag) if "type" in value else "no such field"
        return Mismatch(f"{path}.type", f"one of {', '.join(map(str, members))}", found)
    return _check_struct(members[tag], value, path)


def _is_scalar(kind: inspect.Type, value: Json) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    match kind:
        case inspect.NoneType():
            fits = value is None
        case inspect.BoolType():
            fits = isinstance(value, bool)
        case inspect.StrType():
            fits = isinstance(value, str)
        case inspect.FloatType():
            fits = is_number
        case inspect.IntType():
            fits = is_number and isinstance(value, int) and (kind.ge or 0) <= value <= (kind.le or value)
        case inspect.LiteralType():
            fits = value in kind.values
        case inspect.DictType():
            fits = isinstance(value, dict)
        case _:
            fits = isinstance(kind, inspect.AnyType | inspect.RawType)
    return fits


_NAMES: dict[type[inspect.Type], str] = {
    inspect.StructType: "an object",
    inspect.DictType: "an object",
    inspect.ListType: "an array",
    inspect.StrType: "a string",
    inspect.IntType: "an integer from 0 to 2^63 - 1",
    inspect.FloatType: "a number",
    inspect.BoolType: "true or false",
}


def _expected(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.UnionType):
        members = [member for member in kind.types if not isinstance(member, inspect.NoneType)]
        nullable = " or null" if len(members) < len(kind.types) else ""
        return _expected(members[0]) + nullable
    if isinstance(kind, inspect.LiteralType):
        return "one of " + ", ".join(map(str, kind.values))
    return _NAMES.get(type(kind), "a JSON value")
