"""Run tasks in this process, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

from polars_export.process import preserve_sigint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polars_export.execution.part_worker import PartWorker
    from polars_export.execution.tasks import Job, OnProgress, Task

__all__ = ["InProcessExecutor"]

_Result = TypeVar("_Result")


class InProcessExecutor:
    """Runs each task when its result is asked for."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._worker: PartWorker | None = None

    def run(self, tasks: Iterable[Task[_Result]], on_progress: OnProgress) -> Iterator[_Result]:
        """Yield the result of each task, in the order of the tasks.

        Raises:
            ExportError: A task failed.
        """
        worker = self._worker = self._worker or _load_worker(self._job)
        for task in tasks:
            yield worker.run(task, on_progress)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def _load_worker(job: Job) -> PartWorker:
    with preserve_sigint():
        from polars_export.execution.part_worker import PartWorker  # noqa: PLC0415 - loads Polars, which other executors do without

    return PartWorker(job)
