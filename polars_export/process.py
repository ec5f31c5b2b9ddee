"""State of the whole process: signals, garbage collection, what pyarrow imports, and its end."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["STOP_SIGNALS", "end", "pause_gc", "preserve_sigint", "without_numpy"]

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a process to stop."""


def without_numpy() -> None:
    """Keep pyarrow from importing NumPy and pandas where they are installed: that takes as long as to load Polars.

    Only for a process in which all code is ours: the command, or a worker.
    """
    sys.modules["numpy"] = sys.modules["pandas"] = None  # type: ignore[assignment]


@contextmanager
def preserve_sigint() -> Iterator[None]:
    """Restore the handler of SIGINT, which Polars replaces when it is loaded: under its own, a blocked read goes on."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        is_custom = handler is not None and handler is not signal.default_int_handler
        if is_custom and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


@contextmanager
def pause_gc() -> Iterator[None]:
    """Pause garbage collection: traces are many lists and no cycles, and each pass would walk all of them."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def end(status: int) -> NoReturn:
    """End the process at once: to take down an interpreter with Polars in it takes as long as to export a megabyte."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # None, full or closed
            stream.flush()
    os._exit(status)
