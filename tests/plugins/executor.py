"""An executor of the tests' own: all that it takes to run exports elsewhere is in this file."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Self, TypeVar

from polars_export.execution.part_worker import PartWorker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polars_export.execution.tasks import Job, OnProgress, Task

Result = TypeVar("Result")


class BackwardExecutor:
    """Runs the last task first, each in a worker of its own, with everything pickled as if it went over a network."""

    def __init__(self, job: Job, _workers: int) -> None:
        self._job = pickle.dumps(job)
        self.tasks_run: list[str] = []

    def run(self, tasks: Iterable[Task[Result]], on_progress: OnProgress) -> Iterator[Result]:
        outcomes = [self._outcome(pickle.dumps(task), on_progress) for task in reversed(list(tasks))]
        for outcome in reversed(outcomes):
            result: Result | Exception = pickle.loads(outcome)  # noqa: S301 - pickled above
            if isinstance(result, Exception):
                raise result
            yield result

    def _outcome(self, pickled: bytes, on_progress: OnProgress) -> bytes:
        task: Task[object] = pickle.loads(pickled)  # noqa: S301 - pickled above
        self.tasks_run.append(type(task).__name__)
        worker = PartWorker(pickle.loads(self._job))  # noqa: S301 - pickled above
        try:
            return pickle.dumps(worker.run(task, on_progress))
        except Exception as error:  # noqa: BLE001 - belongs to the task, and is raised when it is its turn
            return pickle.dumps(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass
