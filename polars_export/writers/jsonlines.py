"""Records as JSON lines: compact, UTF-8 unescaped but for quotes, backslashes and control characters."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, BinaryIO

import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["JsonLinesWriter", "encode"]

_POSITIVE_EXPONENT = re.compile(rb'(?<!\\)(":-?[0-9.]+e)\+')  # of a number that is the value of a key


def encode(records: pa.Table, absent: Sequence[str]) -> bytes:
    """Return records as JSON lines; of the keys named in `absent`, those that are null are left out.

    Polars writes every key. Cutting the nulls out of its text is exact: inside a string the quotes would be escaped,
    and arguments are strings, so that no record can hold these bytes otherwise. Such a key must not be the first of its
    object.
    """
    buffer = io.BytesIO()
    pl.DataFrame(records).write_ndjson(buffer)
    text = buffer.getvalue()
    if b"e+" in text:  # the reference writes 1e20 where Polars writes 1e+20
        text = _POSITIVE_EXPONENT.sub(rb"\1", text)
    for key in absent:
        text = text.replace(b',"%s":null' % key.encode(), b"")
    return text


class JsonLinesWriter:
    """Writes records as JSON lines to a binary file."""

    def __init__(self, file: BinaryIO, absent: Sequence[str], compression: str | None) -> None:
        self._file = pa.CompressedOutputStream(file, compression) if compression else file
        self._absent = absent
        self._compressed = compression is not None

    def write(self, records: pa.Table) -> None:
        """Append records."""
        self._file.write(encode(records, self._absent))

    def close(self) -> None:
        """Write what is still held back; a compressed file is closed with it, a plain one stays open."""
        if self._compressed:
            self._file.close()
