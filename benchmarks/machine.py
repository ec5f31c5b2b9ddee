"""Say on what machine and with which versions something was measured, without names or paths of the machine."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["cores", "machine", "versions"]


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def machine() -> str:
    """Describe the processor, the memory, the kernel and Python."""
    processor = _field("/proc/cpuinfo", "model name") or platform.machine()
    gigabytes = int(_field("/proc/meminfo", "MemTotal").split()[0]) / 1e6
    kernel = platform.release().split("-")[0]  # what follows may be a name that somebody gave it
    python = platform.python_version()
    return f"{cores()} cores of {processor}, {gigabytes:.0f} GB of memory, Linux {kernel}, Python {python}"


def versions(packages: Iterable[str]) -> str:
    """Name packages with their versions."""
    return ", ".join(f"{package} {version(package)}" for package in packages)


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return " ".join(value.split())
    return ""
