"""Where files lie: the few calls that a file system and an object store can both answer."""

from __future__ import annotations

import glob
import io
import os
import stat
from contextlib import contextmanager
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple, Protocol

from polars_export.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["FileKind", "FileStatus", "Folder", "LocalStore", "Store", "as_source_error", "store_for"]

_BUFFER_BYTES = 1 << 16
_OPEN_FILES = ("/dev/stdin", "/dev/fd/", "/proc/")  # of this process; /dev/fd/63 is what shells make of <(command)


class FileKind(Enum):
    """What a path leads to."""

    FILE = auto()
    FOLDER = auto()
    STREAM = auto()
    """A pipe, a terminal or a device: it can be read only once, or only by this process."""


class FileStatus(NamedTuple):
    """What a store knows of a file.

    Attributes:
        kind: Whether it can be read again.
        size: Bytes, as they are stored.
        identity: Which file it is: the same for all paths that lead to it, as links do.
        version: Changes when the file is written.
    """

    kind: FileKind
    size: int
    identity: str
    version: str


class Folder(NamedTuple):
    """The names in a folder; those of folders and those of everything else."""

    folders: list[str]
    files: list[str]


class Store(Protocol):
    """A place that holds files.

    Its methods raise `OSError` where they fail, and `ValueError` for a text that cannot be a path.
    """

    def expand(self, pattern: str) -> list[str]:
        """Return the paths that match a glob, sorted; of a path that is no glob, or exists, only that."""
        ...

    def list(self, folder: str) -> Folder:
        """Return what a folder holds, in any order."""
        ...

    def status(self, path: str) -> FileStatus:
        """Return what is known of a file or folder."""
        ...

    def open(self, path: str) -> io.BufferedIOBase:
        """Open a file to read it from its beginning, or from where the caller seeks to."""
        ...

    def read_ranges(self, path: str, ranges: Iterable[tuple[int, int]]) -> bytes:
        """Return the bytes of ranges of a file, each an offset and a length, one behind the other.

        The result is shorter where the file ends before a range does.
        """
        ...


class LocalStore:
    """The file systems of this machine."""

    def expand(self, pattern: str) -> list[str]:
        """Return the paths that match a glob, sorted; of a path that is no glob, or exists, only that."""
        if not glob.has_magic(pattern) or os.path.lexists(pattern):
            return [pattern]
        return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - a Path cannot hold a glob like ./**/x

    def list(self, folder: str) -> Folder:
        """Return what a folder holds; a link to a folder is one."""
        found = Folder([], [])
        with os.scandir(folder) as entries:
            for entry in entries:
                (found.folders if _is_folder(entry) else found.files).append(entry.name)
        return found

    def status(self, path: str) -> FileStatus:
        """Return what is known of the file that a path leads to."""
        found = os.stat(path)  # noqa: PTH116 - of many files
        if stat.S_ISDIR(found.st_mode):
            kind = FileKind.FOLDER
        elif stat.S_ISREG(found.st_mode) and not path.startswith(_OPEN_FILES):
            kind = FileKind.FILE
        else:
            kind = FileKind.STREAM
        return FileStatus(kind, found.st_size, f"{found.st_dev}:{found.st_ino}", str(found.st_mtime_ns))

    def open(self, path: str) -> io.BufferedReader:
        """Open a file."""
        return io.BufferedReader(io.FileIO(path), _BUFFER_BYTES)

    def read_ranges(self, path: str, ranges: Iterable[tuple[int, int]]) -> bytes:
        """Return the bytes of ranges of a file, one behind the other."""
        with io.FileIO(path) as file:
            return b"".join([os.pread(file.fileno(), length, offset) for offset, length in ranges])


_LOCAL = LocalStore()


def store_for(path: str) -> Store:
    """Return the store that holds a path."""
    del path  # all of them are local
    return _LOCAL


@contextmanager
def as_source_error(source: str) -> Iterator[None]:
    """Raise what a store raises as an error that names the source.

    Raises:
        SourceError: The store has failed.
    """
    try:
        yield
    except OSError as error:
        raise SourceError(source, error.strerror or str(error)) from error
    except ValueError as error:
        raise SourceError(source, str(error)) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere
        return False
