"""What runs the tasks of an export: in this process, in local processes, or wherever someone else's executor does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias, TypeVar

from polars_export.execution.tasks import Job

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polars_export.execution.tasks import OnProgress, Task

__all__ = ["Executor", "ExecutorFactory"]

_Result = TypeVar("_Result")


class Executor(Protocol):
    """Runs the tasks of one job and yields their results in order; a context manager that frees what it took.

    Where a task runs, `PartWorker(job).run(task, on_progress)` is all that it takes: tasks and results can be pickled.
    An executor keeps no account: what was written, and what a resumed export need not do again, is the conductor's.
    """

    def run(self, tasks: Iterable[Task[_Result]], on_progress: OnProgress) -> Iterator[_Result]:
        """Yield the result of each task, in the order of the tasks.

        Tasks are taken while results are asked for, not all at once. `on_progress` is called in the caller's thread.

        Raises:
            ExportError: The first task in order that failed raised it.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


ExecutorFactory: TypeAlias = Callable[[Job, int], Executor]
"""Makes the executor of a job. The number is that of the workers that the job can use: 1 where it is small, or where
only this process can read its sources."""
