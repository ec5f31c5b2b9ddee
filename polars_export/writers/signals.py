"""SignalGuard that come too late."""

from __future__ import annotations

import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from polars_export.process import STOP_SIGNALS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["SignalGuard"]


class SignalGuard:
    """Lets interrupts act as usual until they are to be ignored; a context manager.

    When an output is being put in place, the work is done: stopping would leave files behind, and report that nothing
    has changed.
    """

    def __init__(self) -> None:
        self._handlers: dict[signal.Signals, Any] = {}

    def ignore_signals(self) -> None:
        """Take no notice of interrupts until the end of the block."""
        with suppress(ValueError):  # not the main thread, which alone is ever interrupted
            for number in STOP_SIGNALS:
                self._handlers.setdefault(number, signal.signal(number, _too_late))

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """After an error let nothing interrupt what clears up around this block."""
        try:
            yield
        except BaseException:
            self.ignore_signals()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _too_late(_signal: int, _frame: FrameType | None) -> None:
    pass
