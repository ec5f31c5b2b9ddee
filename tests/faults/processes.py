"""Exports in processes that can be killed, and what these leave behind."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.execution import conductor
from polars_export.sources import segments
from tests.builders import call, case_result, result, turn
from tests.faults.accounts import WORK_DIRECTORY, check_account, contents, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PART_BYTES = 30_000
PATIENCE = 300
"""Seconds after which something that has to happen soon is taken for something that never will."""

PART_WRITTEN = r"os\.remove .*/\d{6}'"
"""The removal of a part's file, before the journal has its entry: a pattern for `start`."""


def options(output: Path, on_error: str, **more: Any) -> pe.ExportOptions:  # noqa: ANN401 - options
    asked = {"quality_threshold": 0.25, "overwrite": True, "workers": 1, "on_error": on_error}
    if not output.suffix:
        asked["max_shard_bytes"] = "100KB"
    return pe.ExportOptions(**{"format": "chatml", **asked, **more})


def small_parts_code(part_bytes: int = PART_BYTES) -> str:
    """Return code that lets a process cut its sources into small parts, and start workers for them."""
    return f"""
import os, signal, sys
from polars_export.execution import conductor
from polars_export.sources import segments
conductor._LEAST_FOR_PROCESSES = 0
segments.PART_BYTES = {part_bytes}
"""


_COMMAND = "from polars_export.cli import run\nrun()\n"

# Counts the changes to files that match a pattern, and sends the process a signal before one of them.
_COUNTING = """
import re
from polars_export import process
seen, last, pattern = 0, int(os.environ["LAST"]), re.compile(os.environ["PATTERN"])
changes = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.truncate", "shutil.rmtree", "fcntl.flock"}
def count(event, arguments):
    global seen
    if event not in changes and (event != "open" or not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)):
        return
    if pattern.search(f"{event} {arguments}"):
        seen += 1
        if seen == last:
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))
end = process.end
def print_count(status):
    print(seen, file=sys.stderr)
    end(status)
process.end = print_count
sys.addaudithook(count)
"""

# Kills the process when it has read a share of the sources.
_READING = """
from polars_export.execution import conductor
export, share = conductor.export, float(os.environ["SHARE"])
def on_progress(read, total, traces):
    if read >= total * share:
        os.kill(os.getpid(), signal.SIGKILL)
conductor.export = lambda *arguments, **_: export(*arguments, on_progress=on_progress)
"""


def start(
    *arguments: object,
    change: int | None = None,
    like: str = "",
    number: int = signal.SIGKILL,
    share: float | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, with small parts and workers for them.

    Args:
        arguments: The command's arguments.
        change: The number of the change to files before which the process is sent a signal. A process that ends writes
            the number of all changes to standard error.
        like: A pattern for the changes that count.
        number: The number of the signal.
        share: The share of the sources that it may read before it is killed.
    """
    code, environment = small_parts_code(), {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if change is not None:
        code += _COUNTING
        environment |= {"LAST": str(change), "PATTERN": like, "SIGNAL": str(int(number))}
    if share is not None:
        code, environment["SHARE"] = code + _READING, str(share)
    return subprocess.Popen(
        [sys.executable, "-c", code + _COMMAND, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=environment,
    )


@contextmanager
def stopped(scene: Scene, like: str, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start an export, and yield it when it has stopped itself before the first change to files that matches a pattern.

    So a test finds it there, however busy the machine is. It goes on with SIGCONT.
    """
    with start(*scene.arguments(*more), change=1, like=like, number=signal.SIGSTOP) as process:
        try:
            wait_until_stopped(process)
            yield process
        finally:
            process.kill()


def processes_of(session: int) -> set[int]:
    """Return the processes of a session that have not ended: a command's own, and the workers that it has started."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, its_session = _stat_of(int(path.name))[:4]
        except OSError:  # it has ended meanwhile
            continue
        if state != "Z" and int(its_session) == session:
            found.add(int(path.name))
    return found


def wait_for_the_last_of(session: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while processes_of(session):
        assert time.monotonic() < deadline, f"processes are left: {processes_of(session)}"
        time.sleep(0.02)


def wait_until_stopped(process: subprocess.Popen[bytes]) -> None:
    """Wait until a process has been stopped by a signal, which it must be before it ends."""
    deadline = time.monotonic() + PATIENCE
    while (state := _stat_of(process.pid)[0]) != "T":
        assert state != "Z", "it has ended"
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _stat_of(process: int) -> list[str]:
    """Return what follows the name of a process in the system's account of it: first its state."""
    return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def runs(count: int, said: str = "word", *, bad: bool = True) -> bytes:
    """Write lines of runs, some below a threshold of 0.25, and three of them bad."""
    lines = []
    for number in range(count):
        said_here = turn(
            f"{number} " + f"{said} " * (number * 7 % 50), calls=[call()], results=[result()] * (number % 2)
        )
        lines.append(lines_of([case_result(f"case {number % 40}", said_here, scores=[(number * 37 % 100) / 100])]))
    if bad:
        for number in range(count // 7, count, count // 3):
            lines[number] = lines[number][:-30] + b"\n"
    return b"".join(lines)


@dataclass(frozen=True)
class Scene:
    """An export that will be killed: the files before it, and those that must be there in the end."""

    source: Path
    output: Path
    on_error: str
    old: dict[str, bytes]
    expected: dict[str, bytes]

    @property
    def into_directory(self) -> bool:
        return not self.output.suffix

    def arguments(self, *more: str) -> list[object]:
        """Return those of a command with the same options as `options`."""
        asked = ["--format", "chatml", "--quality-threshold", "0.25", "--on-error", self.on_error, "--overwrite"]
        asked += ["--workers", "2", *([] if self.output.suffix else ["--max-shard-size", "100KB"])]
        return ["export", self.source, *asked, "--output", self.output, *more]

    def set_up(self) -> None:
        """Put the old version in its place, and nothing else."""
        self.output.parent.mkdir()
        for name, data in self.old.items():
            path = self.output / name if self.into_directory else self.output
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def state(self) -> str:
        """Return whether the old state is there or the new one; there is no other."""
        found = found_in(self.output)
        if found == self.expected:
            return "new"
        assert found == self.old
        return "old"

    def check_left(self) -> list[Path]:
        """Check that nothing but a private work directory is beside the output; return it, if it is there."""
        left = {path.name for path in self.output.parent.iterdir()} - {self.output.name}
        if not self.into_directory and self.on_error == "skip":
            left.discard("rejects.jsonl")
        work = list(self.output.parent.glob(WORK_DIRECTORY))
        assert left == {path.name for path in work}
        assert len(work) <= 1
        for path in work:
            assert len(path.name) == len(".polars-export-") + 12
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
        return work

    def finish(self, *, resume: bool = True, workers: int = 1) -> pe.ExportReport:
        """Export again, undisturbed, and check that all files are there in the end."""
        asked = options(self.output, self.on_error, resume=resume, workers=workers)
        with small_parts():
            report = pe.export(self.source, self.output, asked)
        check_account(report, self.output, asked)
        assert self.state() == "new"
        assert self.check_left() == []
        return report


def found_in(output: Path) -> dict[str, bytes]:
    """Return the files of a directory, or a file under its name; nothing where there is nothing."""
    if not output.exists():
        return {}
    return contents(output) if output.is_dir() else {output.name: output.read_bytes()}


def undisturbed(source: Path, output: Path, asked: pe.ExportOptions) -> dict[str, bytes]:
    """Export runs, undisturbed, and return the output: the files of a directory, or the file under its name."""
    with small_parts():
        report = pe.export(source, output, asked)
    check_account(report, output, asked)
    return found_in(output)


@contextmanager
def small_parts() -> Iterator[None]:
    """Let exports of this process cut the sources as those that are started do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conductor, "_LEAST_FOR_PROCESSES", 0)
        patch.setattr(segments, "PART_BYTES", PART_BYTES)
        yield
