"""Small files that stand beside a source and are read with it."""

from __future__ import annotations

import os

from polars_export.errors import SourceError
from polars_export.sources.store import FileKind, as_source_error, store_for
from polars_export.sources.stream import ByteStream
from polars_export.sources.window import MAX_RECORD_BYTES, Window

__all__ = ["absolute", "is_file", "is_folder", "path_in", "read_side_file"]


def path_in(folder: str, *names: str) -> str:
    """Return the path of something in a folder."""
    return os.path.join(folder, *names)  # noqa: PTH118 - as many as sources, in any store


def absolute(path: str) -> str:
    """Return a path with all folders that lead to it; a URL has them."""
    return path if "://" in path else os.path.abspath(path)  # noqa: PTH100 - links stay


def is_file(path: str) -> bool:
    """Return whether a path leads to a file that can be read again."""
    return _kind_of(path) is FileKind.FILE


def is_folder(path: str) -> bool:
    """Return whether a path leads to a folder."""
    return _kind_of(path) is FileKind.FOLDER


def _kind_of(path: str) -> FileKind | None:
    try:
        return store_for(path).status(path).kind
    except (OSError, ValueError):
        return None


def read_side_file(path: str, limit: int = MAX_RECORD_BYTES) -> bytes | None:
    """Return the bytes of a file, decompressed where its name says that it is compressed; None where there is none.

    Raises:
        SourceError: It cannot be read, is damaged, or takes more bytes than the limit.
    """
    if not is_file(path):
        return None
    if path.endswith((".gz", ".zst")):
        data = _read_compressed(path, limit)
    else:
        with as_source_error(path), store_for(path).open(path) as file:
            data = file.read(limit + 1)
    if len(data) > limit:
        raise SourceError(path, f"expected at most {limit:,} bytes, found more")
    return data


def _read_compressed(path: str, limit: int) -> bytes:
    with ByteStream(path) as stream:
        window = Window(stream, limit)
        while len(window) <= limit and window.more():
            pass
        return bytes(window.view(len(window)))
