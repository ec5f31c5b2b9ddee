"""Thrift's compact protocol: structs from bytes and back, whatever their fields mean.

Source: the Apache Thrift compact protocol specification, https://github.com/apache/thrift, in
doc/specs/thrift-compact-protocol.md. A struct that parquet-cpp encoded comes out byte for byte as it went in. Maps are
refused: Parquet has none.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "BINARY", "BOOL", "DOUBLE", "FALSE", "I8", "I16", "I32", "I64", "LIST", "SET", "STRUCT", "List", "Struct", "decode",
    "encode",
]  # fmt: skip

BOOL, FALSE, I8, I16, I32, I64, DOUBLE, BINARY, LIST, SET, _MAP, STRUCT = range(1, 13)
"""Types as they are encoded. Where a boolean is a field, it has no bytes but its type: `BOOL` for true, or `FALSE`. The
booleans of a list have a byte each; who wrote it decides which of the two is the type of all."""

_LONG = 15
"""A list from this length on has it behind the header. A step between field ids fits the header up to this one."""

_SMALL = 0x80
"""Numbers below are one byte. Others are several, and every one but the last has this bit set."""

Struct: TypeAlias = dict[int, tuple[int, Any]]
"""The fields of a struct in their order: id, type and value. A boolean has the type `BOOL`, whichever it is; lists and
sets are a `List`. For `encode`, a struct inside may also be the bytes of its encoding."""


class List(NamedTuple):
    """A list or a set: the type of its elements, and the elements."""

    kind: int
    values: list[Any]


def decode(data: bytes, position: int = 0, *, after: int = 0) -> tuple[Struct, int]:
    """Return the struct at a position, and the position behind it.

    Inside a struct, name the field that the position comes `after`; what is returned are the fields from there on.

    Raises:
        ValueError: The struct is cut off, or it holds a map or what is no Thrift.
    """
    try:
        return _read_struct(data, position, after)
    except IndexError:
        raise ValueError("a Thrift struct is cut off") from None
    except KeyError as kind:
        raise ValueError(f"a Thrift struct holds the type {kind}, which is not supported") from None


def encode(fields: Struct) -> bytes:
    """Return the encoding of a struct; its last byte says that it ends."""
    out = bytearray()
    _write_struct(out, fields)
    return bytes(out)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while (byte := data[position]) >= _SMALL:
        number |= (byte - _SMALL) << shift
        shift += 7
        position += 1
    return number | byte << shift, position + 1


def _read_integer(data: bytes, position: int) -> tuple[int, int]:
    number = data[position]
    if number < _SMALL:  # as most are
        position += 1
    else:
        number, position = _read_varint(data, position)
    return number >> 1 ^ -(number & 1), position  # zigzag: 0, -1, 1, -2, …


def _read_boolean(data: bytes, position: int) -> tuple[bool, int]:
    return data[position] == BOOL, position + 1  # false is 2, or 0 by an older specification


def _read_byte(data: bytes, position: int) -> tuple[int, int]:
    return (data[position] ^ 0x80) - 0x80, position + 1


def _read_double(data: bytes, position: int) -> tuple[float, int]:
    encoded, end = _slice(data, position, 8)
    return struct.unpack("<d", encoded)[0], end


def _read_binary(data: bytes, position: int) -> tuple[bytes, int]:
    length, position = _read_varint(data, position)
    return _slice(data, position, length)


def _slice(data: bytes, start: int, length: int) -> tuple[bytes, int]:
    end = start + length
    if end > len(data):
        raise IndexError
    return data[start:end], end


def _read_list(data: bytes, position: int) -> tuple[List, int]:
    header = data[position]
    position += 1
    length, kind = header >> 4, header & 0x0F
    if length == _LONG:
        length, position = _read_varint(data, position)
    read = _READ[kind]
    values = []
    for _ in range(length):
        value, position = read(data, position)
        values.append(value)
    return List(kind, values), position


def _read_struct(data: bytes, position: int, field: int = 0) -> tuple[Struct, int]:
    fields: Struct = {}
    while header := data[position]:
        position += 1
        kind = header & 0x0F
        if header > _LONG:
            field += header >> 4
        else:
            field, position = _read_integer(data, position)
        if kind == BOOL:
            fields[field] = BOOL, True
        elif kind == FALSE:
            fields[field] = BOOL, False
        else:
            value, position = _READ[kind](data, position)
            fields[field] = kind, value
    return fields, position + 1


def _write_varint(out: bytearray, number: int) -> None:
    while number >= _SMALL:
        out.append(number & 0x7F | _SMALL)
        number >>= 7
    out.append(number)


def _write_integer(out: bytearray, value: int) -> None:
    _write_varint(out, value << 1 if value >= 0 else ~(value << 1))


def _write_boolean(out: bytearray, value: bool) -> None:  # noqa: FBT001 - a value like any other
    out.append(BOOL if value else FALSE)


def _write_byte(out: bytearray, value: int) -> None:
    out.append(value & 0xFF)


def _write_double(out: bytearray, value: float) -> None:
    out += struct.pack("<d", value)


def _write_binary(out: bytearray, value: bytes) -> None:
    _write_varint(out, len(value))
    out += value


def _write_list(out: bytearray, value: List) -> None:
    kind, values = value
    if len(values) < _LONG:
        out.append(len(values) << 4 | kind)
    else:
        out.append(_LONG << 4 | kind)
        _write_varint(out, len(values))
    write = _WRITE[kind]
    for element in values:
        write(out, element)


def _write_struct(out: bytearray, fields: Struct | bytes) -> None:
    if isinstance(fields, bytes):
        out += fields
        return
    last = 0
    for field, (kind, value) in fields.items():
        code = FALSE if kind == BOOL and not value else kind
        if 0 < field - last <= _LONG:
            out.append(field - last << 4 | code)
        else:
            out.append(code)
            _write_integer(out, field)
        last = field
        if kind != BOOL:
            _WRITE[kind](out, value)
    out.append(0)


_READ: dict[int, Callable[[bytes, int], tuple[Any, int]]] = {}
_WRITE: dict[int, Callable[[bytearray, Any], None]] = {}
for _kinds, _read, _write in (
    ((BOOL, FALSE), _read_boolean, _write_boolean),
    ((I8,), _read_byte, _write_byte),
    ((I16, I32, I64), _read_integer, _write_integer),
    ((DOUBLE,), _read_double, _write_double),
    ((BINARY,), _read_binary, _write_binary),
    ((LIST, SET), _read_list, _write_list),
    ((STRUCT,), _read_struct, _write_struct),
):
    _READ.update(dict.fromkeys(_kinds, _read))
    _WRITE.update(dict.fromkeys(_kinds, _write))
