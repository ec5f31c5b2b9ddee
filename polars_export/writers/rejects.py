"""The file of the records that cannot be used, `rejects.jsonl`, put together from those of the parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import msgspec

from polars_export.errors import BadRecordError
from polars_export.writers.disk import os_errors_reported
from polars_export.writers.replayed_files import ReplayedFiles

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["PartRejects", "Reject", "RejectsFile"]


class Reject(msgspec.Struct, kw_only=True):
    """A line of the file.

    Of a record `line` counts from 1, or `index` from 0 in a document's `case_results`; `bytes` is its size and `raw`
    the beginning of its text. Where none of them is known, it is the rest of the source that could not be read.
    """

    source: str
    line: int | None = None
    index: int | None = None
    json_path: str | None = None
    expected: str | None = None
    found: str | None = None
    error: str
    bytes: int | None = None
    raw: str | None = None


class PartRejects:
    """Writes what a part rejects, with lines as they count in their segment.

    Raises:
        OutputError: The file could not be written.
    """

    def __init__(self, path: Path, output: str) -> None:
        self._output = output
        self._encode = msgspec.json.Encoder().encode
        with os_errors_reported(output):
            self._file = path.open("wb")

    def write(self, source: int, reject: Reject) -> None:
        """Append what the source of a number has."""
        with os_errors_reported(self._output):
            self._file.write(self._encode((source, reject)) + b"\n")

    def close(self) -> None:
        """Close the file."""
        with os_errors_reported(self._output):
            self._file.close()


class RejectsFile:
    """Puts what the parts reject one behind the other.

    Args:
        path: Its file.
        files: Opens it.
    """

    def __init__(self, path: Path, files: ReplayedFiles) -> None:
        self._path = path
        self._files = files
        self._file: BinaryIO | None = None
        self._decode = msgspec.json.Decoder(tuple[int, Reject]).decode
        self._encode = msgspec.json.Encoder().encode

    def add(self, part: Path, lines_before: Mapping[int, int | None]) -> int:
        """Append the rejects of a part, whose file is removed, and return how many bytes that takes.

        Args:
            part: Its file.
            lines_before: How many lines of a source, by its number, stand before the part; None where nobody knows.
        """
        size = 0
        file = self.open()
        with part.open("rb") as lines:
            for line in lines:
                number, reject = self._decode(line)
                size += file.write(self._encode(_numbered(reject, lines_before.get(number, 0))) + b"\n")
        file.flush()
        part.unlink()
        return size

    def pass_over(self, size: int) -> None:
        """Stand behind so many bytes more, in a file that has been begun."""
        self.open().write(bytes(size))

    def begin_anew(self) -> None:
        """Write the file from its beginning, also where an export is resumed."""
        self._files = ReplayedFiles(resumed=False)

    def open(self) -> BinaryIO:
        """Open the file, if it is not."""
        if self._file is None:
            self._file = self._files.open(self._path)
        return self._file

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()


def _numbered(reject: Reject, lines_before: int | None) -> Reject:
    """Return a reject whose line, if it has one, counts from the beginning of its source."""
    if reject.line is not None and lines_before != 0:
        reject.line = None if lines_before is None else reject.line + lines_before
        where = (reject.json_path or "", reject.expected or "", reject.found or "")
        reject.error = str(BadRecordError(reject.source, reject.line, *where))
    return reject
