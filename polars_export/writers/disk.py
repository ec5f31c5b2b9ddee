"""What every output shares: an error that names it, and bytes that are on disk before it appears."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from polars_export.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["flush_to_disk", "reported"]


@contextmanager
def reported(output: str) -> Iterator[None]:
    """Say of an error of the system which output it is that cannot be written.

    Raises:
        OutputError: In place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(output, error.strerror or str(error)) from error


def flush_to_disk(path: Path) -> None:
    """Wait until a file, or the entries of a directory, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
