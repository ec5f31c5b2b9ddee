"""Who does the work of an export: this process, or as many others as there are available_cpus."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections import deque
from contextlib import contextmanager
from importlib import import_module
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, TypeAlias, cast

from polars_export.errors import ExportError, WorkerError
from polars_export.inputs.eval_results.decoder import pause_gc
from polars_export.process import without_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from polars_export.execution.tasks import Job

__all__ = ["Executor", "ProcessExecutor", "crew", "preserve_sigint", "available_cpus"]

OnProgress: TypeAlias = "Callable[[int, int], None]"
"""Is told the bytes and the traces that have been read since it was told last."""

_AHEAD = 2
"""Tasks for each process that may be under way or done before the oldest is taken: what waits on disk is bounded."""

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

_COMMAND = "from polars_export.execution.process_executor import serve; serve()"
_ENVIRONMENT = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "ARROW_IO_THREADS": "1"}
"""One thread for each process: there are as many processes as available_cpus."""


class Executor(Protocol):
    """Does tasks: calls of a method of `work.PartWorker`, by its name."""

    def map(self, method: str, tasks: Iterable[Any], told: OnProgress) -> Iterator[Any]:
        """Yield what the method returns for each task, in the order of the tasks.

        Raises:
            ExportError: What the first task that fails raises.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


def crew(job: Job, processes: int) -> Executor:
    """Return who does the work of a job; this process alone if that is but one."""
    return ProcessExecutor(job, processes) if processes > 1 else _Alone(job)


def available_cpus() -> int:
    """Return how many available_cpus this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Alone:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._workshop: Any = None

    def map(self, method: str, tasks: Iterable[Any], told: OnProgress) -> Iterator[Any]:
        if self._workshop is None:
            with preserve_sigint():
                self._workshop = _open_workshop(self._job)
        for task in tasks:
            yield getattr(self._workshop, method)(task, told)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


@contextmanager
def preserve_sigint() -> Iterator[None]:
    """Put back the handler of interrupts that Polars replaces as it is loaded: with its own, a read would wait on."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        is_own = handler is not None and handler is not signal.default_int_handler
        if is_own and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


class _Process(NamedTuple):
    process: subprocess.Popen[bytes]
    connection: Connection


class ProcessExecutor:
    """Processes that are told what to do over a socket each.

    They are started as commands of their own: they share no threads with this process, and unlike those of
    `multiprocessing` they do not run the user's script again.
    """

    def __init__(self, job: Job, processes: int) -> None:
        self._processes: list[_Process] = []
        self._busy: dict[Connection, int] = {}
        try:
            for _ in range(processes):
                self._processes.append(_start())
            for _, connection in self._processes:
                self._send(connection, job)
        except OSError as error:  # no more files, processes or memory
            self._end()
            raise WorkerError(None, error.strerror or str(error)) from error
        except BaseException:
            self._end()
            raise

    def map(self, method: str, tasks: Iterable[Any], told: OnProgress) -> Iterator[Any]:
        """Yield what the method returns for each task, in the order of the tasks.

        Raises:
            ExportError: What the first task that fails raises; others may be under way yet.
            WorkerError: A process ended.
        """
        self._finish()
        waiting, busy = enumerate(tasks), self._busy
        order: deque[int] = deque()  # the tasks handed out whose results have not been taken
        done: dict[int, Any] = {}
        idle = [connection for _, connection in self._processes]
        while True:
            while idle and len(order) < (_AHEAD + 1) * len(self._processes) and (task := next(waiting, None)):
                connection = idle.pop()
                self._send(connection, (method, task[1]))
                busy[connection] = task[0]
                order.append(task[0])
            if not order:
                return
            if order[0] in done:
                result = done.pop(order.popleft())
                if isinstance(result, BaseException):
                    raise result
                yield result
                continue
            for connection in cast("list[Connection]", wait(busy)):
                kind, value = self._receive(connection)
                if kind == "told":
                    told(*value)
                else:
                    done[busy.pop(connection)] = value
                    idle.append(connection)

    def _finish(self) -> None:
        """Wait for what is under way since an error, so that its results are not taken for those of the next tasks."""
        for connection in self._busy:
            while self._receive(connection)[0] == "told":
                pass
        self._busy.clear()

    def _send(self, connection: Connection, message: object) -> None:
        try:
            connection.send(message)
        except OSError:
            raise self._ended(connection) from None

    def _receive(self, connection: Connection) -> tuple[str, Any]:
        try:
            message: tuple[str, Any] = connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            raise self._ended(connection) from None
        return message

    def _ended(self, connection: Connection) -> WorkerError:
        process = next(process for process, theirs in self._processes if theirs is connection)
        return WorkerError(process.wait())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def _end(self) -> None:
        for process, connection in self._processes:
            connection.close()
            process.kill()
        for process, _ in self._processes:
            process.wait()


def _start() -> _Process:
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
        return _Process(process, Connection(ours.detach()))


def serve() -> None:
    """Do one task after the other until whoever gives them closes the connection: the life of a worker process."""
    without_numpy()
    _end_with_parent()
    connection = Connection(int(sys.argv[1]))
    try:
        workshop = _open_workshop(connection.recv())
        while True:
            method, task = connection.recv()
            connection.send(("done", _result(workshop, method, task, connection)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass


def _end_with_parent() -> None:
    """End when the process ends that gives the tasks, also if it is killed: nobody would take the results."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux; elsewhere the next message finds the connection closed
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _result(workshop: Any, method: str, task: object, connection: Connection) -> object:  # noqa: ANN401
    def told(bytes_read: int, traces: int) -> None:
        connection.send(("told", (bytes_read, traces)))

    try:
        return getattr(workshop, method)(task, told)
    except ExportError as error:
        return error
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception:  # noqa: BLE001 - a defect, which the user should see where the export was started
        return RuntimeError(f"a worker process failed:\n{traceback.format_exc()}")


def _open_workshop(job: Job) -> Any:  # noqa: ANN401 - its module loads Polars, which this process may not need
    with pause_gc():  # of what is imported nothing will be garbage
        return import_module("polars_export.execution.part_worker").PartWorker(job)
