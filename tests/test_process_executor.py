"""Two local processes: results in order, errors in turn, and no process left behind whatever happens to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import pytest

import polars_export as pe
from polars_export.execution import conductor
from polars_export.execution.process_executor import ProcessExecutor
from polars_export.execution.tasks import CheckPart, Job, ScanPart, Task
from polars_export.sources import segments
from tests.builders import case_result, write_lines
from tests.faults.processes import small_parts_code
from tests.worker_runs import SMALL_PARTS, bad_content, bad_outline, children, needs_proc, running, runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from polars_export.execution.tasks import ScannedPart
    from polars_export.inputs.partition import Part

Result = TypeVar("Result")


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    before = children(os.getpid())
    yield
    assert children(os.getpid()) == before


@dataclass
class TwoWorkers:
    """Two processes that have loaded what they need, and files to be worked on."""

    workers: ProcessExecutor
    folder: Path

    def scan(self, names: Iterable[str]) -> Iterator[ScannedPart]:
        return self.run(ScanPart(0, self._part(name)) for name in names)

    def check(self, names: Iterable[str]) -> Iterator[None]:
        return self.run(CheckPart(self._part(name)) for name in names)

    def run(self, tasks: Iterable[Task[Result]]) -> Iterator[Result]:
        return self.workers.run(tasks, lambda *_: None)

    def _part(self, name: str) -> Part:
        path = self.folder / f"{name}.jsonl"
        return (segments.Segment(0, str(path), size=path.stat().st_size),)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoWorkers]:
    folder = tmp_path_factory.mktemp("two")
    write_lines(folder / "good.jsonl", case_result())
    write_lines(folder / "large.jsonl", *runs(1_000))
    write_lines(folder / "bad.jsonl", bad_outline(case_result()))
    write_lines(folder / "late.jsonl", *runs(1_000), bad_outline(case_result()))
    write_lines(folder / "content.jsonl", bad_content(case_result()))
    job = Job((), pe.ExportOptions("dpo"), "out.jsonl", into_directory=False, parts=folder)
    with ProcessExecutor(job, 2) as workers:
        made = TwoWorkers(workers, folder)
        assert list(made.check(["good"] * 2)) == [None, None]
        yield made


@needs_proc
def test_results_come_in_the_order_of_the_tasks(two: TwoWorkers) -> None:
    scanned = two.scan(["large", "good", "good", "large", "good"])
    assert [part.account.counters.traces_read for part in scanned] == [1_000, 1, 1, 1_000, 1]


@needs_proc
def test_few_tasks_are_taken_before_the_first_result_is(two: TwoWorkers) -> None:
    taken: list[str] = []

    def names() -> Iterator[str]:
        for name in ["large", *["good"] * 50]:
            taken.append(name)
            yield name

    results = two.check(names())
    next(results)
    assert 2 <= len(taken) <= 7
    assert len(list(results)) == 50


@needs_proc
def test_an_error_leaves_no_answer_behind_for_the_next_tasks(two: TwoWorkers) -> None:
    with pytest.raises(pe.BadRecordError, match=r"bad\.jsonl:1"):
        list(two.scan(["bad", "late"]))
    with pytest.raises(pe.BadRecordError, match=r"content\.jsonl:1"):
        list(two.check(["content", "good"]))
    assert list(two.check(["good"] * 3)) == [None] * 3


@needs_proc
def test_an_error_does_not_wait_for_what_others_do(two: TwoWorkers) -> None:
    pipe = two.folder / "pipe.jsonl"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as threads:
        failing = threads.submit(list, two.scan(["bad", "pipe"]))
        try:
            assert isinstance(failing.exception(300), pe.BadRecordError)
        finally:
            pipe.write_bytes((two.folder / "good.jsonl").read_bytes())  # which the other one waits for
    assert list(two.check(["good"] * 3)) == [None] * 3


@needs_proc
@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenPipeError])
def test_workers_that_cannot_be_told_what_to_do_are_ended(
    error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(ProcessExecutor, "_send", fails)
    job = Job((), pe.ExportOptions("dpo"), "out.jsonl", into_directory=False, parts=tmp_path)
    before = children(os.getpid())
    with pytest.raises((KeyboardInterrupt, pe.WorkerError)):
        ProcessExecutor(job, 2)
    assert children(os.getpid()) == before


@needs_proc
def test_a_defect_is_shown_where_the_export_was_started(two: TwoWorkers) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)a worker process failed:\nTraceback .*TypeError: unknown task Task"):
        list(two.run([Task()]))


@needs_proc
def test_a_worker_that_is_killed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conductor, "_LEAST_FOR_PROCESSES", 0)
    monkeypatch.setattr(segments, "PART_BYTES", SMALL_PARTS)
    source = write_lines(tmp_path / "runs.jsonl", *runs(180))
    output = tmp_path / "out.jsonl"
    output.write_bytes(b"old")
    others = children(os.getpid())

    def on_progress(_read: int, _total: int | None, _traces: int) -> None:
        for child in sorted(children(os.getpid()) - others)[:1]:
            os.kill(child, signal.SIGKILL)

    message = r"killed by signal 9; the previous output is unchanged; .* --workers"
    with pytest.raises(pe.WorkerError, match=message) as e:
        pe.export([source] * 5, output, pe.ExportOptions(workers=2), on_progress=on_progress)
    assert (e.value.status, e.value.exit_status) == (-9, 5)
    assert output.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "runs.jsonl"]


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.long)])
def test_a_command_that_is_interrupted_leaves_neither_processes_nor_files(number: int, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "runs.jsonl", *runs(60))
    output = tmp_path / "out.jsonl"
    output.write_bytes(b"old")
    arguments = ["export", *[str(source)] * 300, "--format", "chatml", "--workers", "2", "--output", str(output)]
    code = f"{small_parts_code(SMALL_PARTS)}\nfrom polars_export.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        assert process.stderr
        while not list(tmp_path.glob(".polars-export-*/parts*/*")):
            assert process.poll() is None
            time.sleep(0.01)
        workers = children(process.pid)
        assert len(workers) == 2
        assert process.pid not in {os.getpgid(worker) for worker in workers}  # or each would tell of the interrupt
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does: to all processes of the command
        else:
            process.kill()
        status = process.wait(timeout=30)
        message = process.stderr.read()
    if number == signal.SIGINT:
        assert (status, message) == (130, b"polars-export: interrupted; the previous output is unchanged\n")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "runs.jsonl"]
    deadline = time.monotonic() + 30
    while number == signal.SIGKILL and workers & running().keys():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not workers & running().keys()
    assert output.read_bytes() == b"old"
