"""A file of entries, each of which is there for all who come after once it is added, even if the writer is killed."""

from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["AppendLog"]


class AppendLog:
    """Entries in the order in which they were added: whatever can be pickled."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def entries(self) -> Iterator[tuple[Any, int]]:
        """Yield the entries, each with the place where it ends; one that was being written is none."""
        with self._path.open("rb") as file:
            while True:
                try:
                    yield pickle.load(file), file.tell()  # noqa: S301 - from a directory that is this user's alone
                except (EOFError, pickle.UnpicklingError):
                    return

    def cut(self, end: int) -> None:
        """Remove the entries behind a place."""
        os.truncate(self._path, end)

    def add(self, entry: object) -> None:
        """Append an entry."""
        if self._file is None:
            self._file = self._path.open("ab")
        pickle.dump(entry, self._file)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
