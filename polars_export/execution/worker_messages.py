"""What a worker process sends to the process that started it; it receives a job first, then tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Failed", "Finished", "Message", "Progressed"]


@dataclass(frozen=True, slots=True)
class Progressed:
    """The task has read so many more bytes and traces."""

    bytes_read: int
    traces: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The task has come to its result."""

    result: object


@dataclass(frozen=True, slots=True)
class Failed:
    """The task has raised an error."""

    error: Exception


Message: TypeAlias = Progressed | Finished | Failed
