"""Keep a copy of a source that can be read only once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from polars_export.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["SpoolWriter"]


class SpoolWriter:
    """Writes the file of a copy, unbuffered: what is written can be read at once.

    Raises:
        OutputError: The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._as_output_error():
            self._file = path.open("wb", buffering=0)

    def write(self, data: memoryview) -> None:
        """Append bytes."""
        with self._as_output_error():
            written = 0
            while written < len(data):  # a raw file may take less than it is given
                written += self._file.write(data[written:])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @contextmanager
    def _as_output_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(str(self._path), error.strerror or str(error)) from error
