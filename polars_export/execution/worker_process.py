"""A worker process: it receives a job and tasks over a socket, and sends back what they result in.

No module imports this one. `ProcessExecutor` starts it as a command with one argument: the number of the socket, which
is open already.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from polars_export.errors import ExportError
from polars_export.execution.worker_messages import Failed, Finished, Progressed
from polars_export.process import pause_gc, without_numpy

if TYPE_CHECKING:
    from polars_export.execution.part_worker import PartWorker
    from polars_export.execution.tasks import Job, Task
    from polars_export.execution.worker_messages import Message

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

_CONNECTION_LOST = (EOFError, BrokenPipeError, ConnectionResetError)


def main() -> None:
    """Receive a job, then run one task after the other until the other end of the socket is closed."""
    without_numpy()
    _die_with_parent()
    connection = Connection(int(sys.argv[1]))
    try:
        worker = _load_worker(connection.recv())
        while True:
            connection.send(_run(worker, connection.recv(), connection))
    except _CONNECTION_LOST:
        pass


def _die_with_parent() -> None:
    """Ask the system to kill this process when its parent ends, even a killed one: nobody would take the results."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux; elsewhere the next message finds the connection closed
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _load_worker(job: Job) -> PartWorker:
    with pause_gc():  # of what is imported nothing will be garbage
        from polars_export.execution.part_worker import PartWorker  # noqa: PLC0415 - loads pyarrow: `without_numpy` comes first
    return PartWorker(job)


def _run(worker: PartWorker, task: Task[object], connection: Connection) -> Message:
    def on_progress(bytes_read: int, traces: int) -> None:
        connection.send(Progressed(bytes_read, traces))

    try:
        return Finished(worker.run(task, on_progress))
    except ExportError as error:
        return Failed(error)
    except _CONNECTION_LOST:
        raise
    except Exception:  # noqa: BLE001 - a defect: the user should see it where the export was started
        return Failed(RuntimeError(f"a worker process failed:\n{traceback.format_exc()}"))
