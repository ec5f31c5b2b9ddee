"""What tells that a file is still the one it was, and a machine has not been down since."""

from __future__ import annotations

from pathlib import Path

from polars_export.sources.stream import is_piped

__all__ = ["boot_id", "fingerprint"]

_BOOT = Path("/proc/sys/kernel/random/boot_id")


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


def boot_id() -> str | None:
    """Return what is another one each time that the machine starts; None where that cannot be told."""
    return _BOOT.read_text() if _BOOT.exists() else None
