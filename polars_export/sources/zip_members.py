"""Zip archives: whose members are records."""

from __future__ import annotations

import zipfile

from polars_export.errors import SourceError
from polars_export.sources.store import as_source_error, store_for

__all__ = ["is_archive", "member_names"]

_MAGIC = b"PK\x03\x04"


def is_archive(beginning: bytes) -> bool:
    """Return whether a file that begins with these bytes is a zip archive."""
    return beginning.startswith(_MAGIC)


def member_names(path: str) -> frozenset[str]:
    """Return the names of the members of an archive.

    Raises:
        SourceError: It cannot be read, or is damaged.
    """
    with as_source_error(path), store_for(path).open(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return frozenset(archive.namelist())
        except zipfile.BadZipFile as error:
            raise SourceError(path, f"damaged zip archive: {error}") from None
