"""Run tasks in processes of this machine."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from collections import deque
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar, cast

from polars_export.errors import WorkerError
from polars_export.execution.worker_messages import Failed, Progressed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polars_export.execution.tasks import Job, OnProgress, Task
    from polars_export.execution.worker_messages import Finished, Message

__all__ = ["ProcessExecutor"]

_Result = TypeVar("_Result")

_AHEAD = 2
"""Tasks for each process whose results may wait for that of an earlier task: what waits on disk is bounded."""

_COMMAND = "from polars_export.execution.worker_process import main; main()"
"""As `-m` would run that module, but without the 10 ms that `runpy` takes to find it."""

_ENVIRONMENT = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "ARROW_IO_THREADS": "1"}
"""One thread for each process: there are as many processes as processors."""


class _Worker(NamedTuple):
    process: subprocess.Popen[bytes]
    connection: Connection


class ProcessExecutor:
    """Sends tasks to processes, over a socket each, and receives the results.

    The processes are started as commands of their own: they share no threads with this process, and unlike those of
    `multiprocessing` they do not run the user's script again.

    Raises:
        WorkerError: A process could not be started.
    """

    def __init__(self, job: Job, processes: int) -> None:
        self._workers: list[_Worker] = []
        self._running: dict[Connection, int] = {}  # the number of the task that the worker at its other end runs
        try:
            for _ in range(processes):
                self._workers.append(_start_worker())
            for worker in self._workers:
                self._send(worker.connection, job)
        except OSError as error:  # no more files, processes or memory
            self._stop()
            raise WorkerError(None, error.strerror or str(error)) from error
        except BaseException:
            self._stop()
            raise

    def run(self, tasks: Iterable[Task[_Result]], on_progress: OnProgress) -> Iterator[_Result]:
        """Yield the result of each task, in the order of the tasks.

        Raises:
            ExportError: The first task in order that failed raised it; later tasks may still run.
            WorkerError: A process ended.
        """
        self._finish_running()
        numbered = enumerate(tasks)
        pending: deque[int] = deque()  # the tasks sent whose results have not been yielded, in order
        done: dict[int, Finished | Failed] = {}
        idle = deque(worker.connection for worker in self._workers)  # first the one that was started first
        most_pending = (1 + _AHEAD) * len(self._workers)
        while True:
            while idle and len(pending) < most_pending and (following := next(numbered, None)):
                number, task = following
                self._send(idle[0], task)
                self._running[idle.popleft()] = number
                pending.append(number)
            if not pending:
                return
            if pending[0] in done:
                outcome = done.pop(pending.popleft())
                if isinstance(outcome, Failed):
                    raise outcome.error
                yield cast("_Result", outcome.result)  # the worker has no types
                continue
            for connection in cast("list[Connection]", wait(self._running)):
                message = self._receive(connection)
                if isinstance(message, Progressed):
                    on_progress(message.bytes_read, message.traces)
                else:
                    done[self._running.pop(connection)] = message
                    idle.append(connection)

    def _finish_running(self) -> None:
        """Drop the results of tasks that still run since an error, so that they do not pass for those of the next."""
        for connection in self._running:
            while isinstance(self._receive(connection), Progressed):
                pass
        self._running.clear()

    def _send(self, connection: Connection, message: object) -> None:
        try:
            connection.send(message)
        except OSError:
            raise self._error_of(connection) from None

    def _receive(self, connection: Connection) -> Message:
        try:
            message: Message = connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            raise self._error_of(connection) from None
        return message

    def _error_of(self, connection: Connection) -> WorkerError:
        """Return the error for a worker whose connection was lost."""
        process = next(worker.process for worker in self._workers if worker.connection is connection)
        return WorkerError(process.wait())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()

    def _stop(self) -> None:
        for process, connection in self._workers:
            connection.close()
            process.kill()
        for process, _ in self._workers:
            process.wait()


def _start_worker() -> _Worker:
    ours, theirs = socket.socketpair()
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)  # noqa: PTH109 - as a string
    with ours, theirs:
        process = subprocess.Popen(  # noqa: S603 - the interpreter that runs this
            [sys.executable, "-P", "-c", _COMMAND, str(theirs.fileno())],  # -P: import nothing from where the user is
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            process_group=0,  # what interrupts this process must not interrupt them: they are ended by it
            env={**os.environ, **_ENVIRONMENT, "PYTHONPATH": paths},
        )
        return _Worker(process, Connection(ours.detach()))
