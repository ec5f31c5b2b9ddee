"""What tells that a file is still the one it was."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from polars_export.sources.find import find_matches, listed, walk
from polars_export.sources.stream import is_piped

if TYPE_CHECKING:
    from polars_export.sources.find import Sources

__all__ = ["fingerprint", "fingerprints"]


def fingerprint(path: str) -> str | None:
    """Return what changes when a file does: which one it is, its size, and when it was last written.

    None where that cannot be told: what is piped, or has gone.
    """
    if is_piped(path):
        return None
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return f"{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"


def fingerprints(sources: Sources) -> list[str]:
    """Return the fingerprint of every file that sources name, of directories all files in them at any depth.

    What cannot be told is never the same twice.
    """
    paths: list[str] = []
    for match in (match for source in listed(sources) for match in find_matches(os.fspath(source))):
        below = [os.path.join(folder, file) for folder, _, files in walk(match) for file in files]  # noqa: PTH118
        paths += below or [match]
    return [f"{path} {fingerprint(path) or secrets.token_hex()}" for path in sorted(set(paths))]
