"""Run commands as fresh processes and measure them: wall time, processor time and the memory of all their processes."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

__all__ = ["CommandError", "Measurement", "measure"]

REPOSITORY = Path(__file__).parents[1]
SAMPLING_SECONDS = 0.02
SHOWN_BYTES = 4_000  # of what a command that fails says
OWN_MEMORY = ("RssAnon:", "RssShmem:")  # without the pages of mapped files, which are the system's cache


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a run took.

    Attributes:
        seconds: From the start of the first process to the end of the last.
        processor_seconds: Of all processes together, system time included.
        peak_bytes: The most memory that all processes held at one time, mapped files not included.
    """

    seconds: float
    processor_seconds: float
    peak_bytes: int


@dataclass
class CommandError(Exception):
    """A command failed.

    Attributes:
        command: The command.
        status: Its exit status, negative for the signal that ended it.
        said: The end of its standard error.
    """

    command: Sequence[str]
    status: int
    said: str

    def __str__(self) -> str:
        """Say what failed, with the command's own words."""
        return f"exit status {self.status} of: {' '.join(self.command)}\n{self.said}"


def measure(commands: Sequence[Sequence[str]]) -> Measurement:
    """Start commands at the same time, in the folder of the repository, and wait for all of them.

    Raises:
        CommandError: The first command that did not exit with status 0.
    """
    os.sync()  # so that no run pays for what the one before left to be written
    with TemporaryFile() as errors:
        start = time.perf_counter()
        running = [_start(command, errors) for command in commands]
        memory = _MemorySampler([process.pid for process in running])
        memory.start()
        ends = [os.wait4(process.pid, 0) for process in running]
        seconds = time.perf_counter() - start
        memory.finish()
        for process, command, (_, status, _) in zip(running, commands, ends, strict=True):
            process.returncode = os.waitstatus_to_exitcode(status)  # as it was not Popen that waited
            if process.returncode != 0:
                raise CommandError(command, process.returncode, _end_of(errors))
    return Measurement(seconds, sum(used.ru_utime + used.ru_stime for _, _, used in ends), memory.peak_bytes)


def _start(command: Sequence[str], errors: BinaryIO) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the commands are those of the questions
        command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
    )


def _end_of(errors: BinaryIO) -> str:
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - SHOWN_BYTES))
    return errors.read().decode(errors="replace").strip()


class _MemorySampler(Thread):
    """Looks at the memory of some processes and their descendants every few milliseconds."""

    def __init__(self, roots: Sequence[int]) -> None:
        super().__init__(daemon=True)
        self._roots = roots
        self._finished = Event()
        self.peak_bytes = 0

    def run(self) -> None:
        while not self._finished.wait(SAMPLING_SECONDS):
            held = sum(_held_bytes(pid) for root in self._roots for pid in _family(root))
            self.peak_bytes = max(self.peak_bytes, held)

    def finish(self) -> None:
        self._finished.set()
        self.join()


def _family(pid: int) -> list[int]:
    """Return a process and its descendants; those that end meanwhile are left out."""
    family = [pid]
    for member in family:
        try:
            threads = os.listdir(f"/proc/{member}/task")  # noqa: PTH208 - names are enough
        except OSError:
            continue
        for thread in threads:
            family += [int(child) for child in _text(f"/proc/{member}/task/{thread}/children").split()]
    return family


def _held_bytes(pid: int) -> int:
    lines = _text(f"/proc/{pid}/status").splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(OWN_MEMORY))


def _text(path: str) -> str:
    """Return what a file of `/proc` says, nothing where its process has ended."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
