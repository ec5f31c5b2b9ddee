"""Tell whether a file, and the machine, are still in the state that they were in."""

from __future__ import annotations

from pathlib import Path

from polars_export.sources.store import FileKind, store_for

__all__ = ["boot_id", "fingerprint"]

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def fingerprint(path: str) -> str | None:
    """Return a text that changes when a file is replaced or written; None for what cannot be read again.

    The content is not read.
    """
    try:
        kind, size, identity, version = store_for(path).status(path)
    except (OSError, ValueError):
        return None
    return f"{identity}:{size}:{version}" if kind is FileKind.FILE else None


def boot_id() -> str | None:
    """Return what is another one each time that the machine starts; None where that cannot be told."""
    return _BOOT.read_text() if _BOOT.exists() else None
