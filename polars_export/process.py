"""A process in which all code is ours: the command, or a worker. It need not wait for what nobody uses."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

__all__ = ["STOP_SIGNALS", "end", "without_numpy"]

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a process to stop."""


def without_numpy() -> None:
    """Keep pyarrow from importing NumPy and pandas where they are installed: that takes as long as to load Polars."""
    sys.modules["numpy"] = sys.modules["pandas"] = None  # type: ignore[assignment]


def end(status: int) -> NoReturn:
    """End the process at once: to take down an interpreter with Polars in it takes as long as to export a megabyte."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # None, full or closed
            stream.flush()
    os._exit(status)
