"""Zip archives of any compression, written field by field: Python's own module writes no zstd before 3.14."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DEFLATED", "STORED", "ZSTD", "archive"]

STORED, DEFLATED, ZSTD = 0, 8, 93


def archive(members: Sequence[tuple[str, bytes]], method: int = DEFLATED, *, flags: int = 0) -> bytes:
    """Return an archive of members, each a name and its content."""
    data, directory = bytearray(), bytearray()
    for name, content in members:
        packed = _compressed(content, method)
        sizes = (zlib.crc32(content), len(packed), len(content), len(name))
        offset = len(data)
        data += struct.pack("<4sHHHHHLLLHH", b"PK\x03\x04", 20, flags, method, 0, 0, *sizes, 0) + name.encode() + packed
        fields = (b"PK\x01\x02", 20, 20, flags, method, 0, 0, *sizes, 0, 0, 0, 0, 0, offset)
        directory += struct.pack("<4sHHHHHHLLLHHHHHLL", *fields) + name.encode()
    end = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, len(members), len(members), len(directory), len(data), 0)
    return bytes(data + directory + end)


def _compressed(content: bytes, method: int) -> bytes:
    if method == DEFLATED:
        codec = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return codec.compress(content) + codec.flush()
    if method == ZSTD:
        return bytes(pa.compress(content, "zstd", asbytes=True))
    return content
