"""What every output shares: an error that names it, and bytes that are on disk before it appears."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from polars_export.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["copy_mode", "flush_to_disk", "os_errors_reported"]


@contextmanager
def os_errors_reported(output: str) -> Iterator[None]:
    """Say of an error of the system which output it is that cannot be written.

    Raises:
        OutputError: In place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(output, error.strerror or str(error)) from error


def flush_to_disk(path: Path) -> None:
    """Wait until a file, or the entries of a directory if it may be read, are on disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:
        if path.is_dir():
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_mode(path: Path, new: Path, more: int = 0) -> int | None:
    """Let a new file or directory be as private as the one that it replaces; return its mode, None if it replaces none.

    Args:
        path: What is replaced.
        new: What replaces it.
        more: Bits of the mode that the new one has beside.
    """
    if not path.exists():
        return None
    found, known = path.stat(), new.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_gid != known.st_gid:
        try:
            os.chown(new, -1, found.st_gid)
        except PermissionError:  # what its group may do is not for another one
            mode &= ~stat.S_IRWXG
    new.chmod(mode | more)
    return mode
