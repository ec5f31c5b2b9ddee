"""However many processes do the work: the same bytes, the first error, nothing left behind whatever befalls them."""

from __future__ import annotations

import gzip
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pytest

import polars_export as pe
from polars_export.execution.process_executor import ProcessExecutor
from polars_export.execution.tasks import CheckPart, Job, ScanPart, Task
from polars_export.inputs.find import find_sources
from polars_export.pipeline import stages
from polars_export.sources import segments, window
from polars_export.sources.segments import parts_of
from tests import rowwise
from tests.builders import call, case_result, document, result, turn, write_document, write_lines
from tests.faults.processes import at_work

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polars_export.execution.executor import Executor
    from polars_export.execution.tasks import ScannedPart

Result = TypeVar("Result")

Json = dict[str, Any]

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

# `polars_export.execution.conductor` is the function: the module has to be asked for by its name.
export_module = importlib.import_module("polars_export.execution.conductor")

ONE_PART = 1 << 30
SMALL_PARTS = 20_000


@pytest.fixture(autouse=True)
def _processes_also_for_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, "_LEAST_FOR_PROCESSES", 0)
    monkeypatch.setattr(segments, "PART_BYTES", SMALL_PARTS)


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    before = children(os.getpid())
    yield
    assert children(os.getpid()) == before


def running() -> dict[int, int]:
    """Return the processes that have not ended, each with the one that has started it."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text(encoding="utf-8").rpartition(")")[2].split()[:2]
        except OSError:  # it has ended meanwhile
            continue
        if state != "Z":
            found[int(path.parent.name)] = int(parent)
    return found


def children(process: int) -> set[int]:
    return {child for child, parent in running().items() if parent == process}


def runs(count: int, start: int = 0) -> list[Json]:
    """Make runs of cases, some below a threshold of 0.25, of different sizes and with calls in some."""
    return [
        case_result(
            f"case {number % 40}",
            turn(f"{number} " + "word " * (number * 7 % 50), calls=[call()], results=[result()] * (number % 2)),
            *[turn(f"more {number}", index=1)] * (number % 3),
            scores=[(number * 37 % 100) / 100],
            verdict="pass" if number % 4 else "fail",
            eval_set_id="set",
        )
        for number in range(start, start + count)
    ]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sources of every kind, and files that hold no traces before, between and behind them."""
    folder = tmp_path_factory.mktemp("store") / "runs"
    folder.mkdir()
    (folder / "a.json").write_text('{"schema_version": 1, "cases": []}', encoding="utf-8")
    write_lines(folder / "b.jsonl", *runs(90))
    write_document(folder / "c.json", *runs(30, 90))
    (folder / "d.jsonl.gz").write_bytes(gzip.compress(lines_of(runs(30, 120))))
    (folder / "e.json").write_text('{"id": "s", "cases": []}', encoding="utf-8")
    (folder / "f.jsonl.zst").write_bytes(pa.Codec("zstd").compress(lines_of(runs(30, 150)), asbytes=True))
    (folder / "g.json").write_text("[]", encoding="utf-8")
    cases = [
        {"id": f"case {n}", "name": "", "system_prompt": "Be kind.", "user_messages": [f"{n}?"]} for n in range(40)
    ]
    prompts = {"id": "set", "name": "s", "cases": cases}
    (folder.parent / "sets.json").write_text(json.dumps(prompts), encoding="utf-8")
    return folder


def lines_of(records: list[Json]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def export(  # what varies from one export to the next
    store: Path, output: Path, options: pe.ExportOptions, workers: int, part_bytes: int = SMALL_PARTS
) -> pe.ExportReport:
    """Export the folder, and one of its files once more; return the account without what differs every time."""
    output.parent.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "PART_BYTES", part_bytes)
        sources = [store, store / "b.jsonl"]
        report = pe.export(sources, output, replace(options, workers=workers))
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    return replace(report, output="", seconds=0.0)


def options(name: str, target: str, store: Path, **more: Any) -> pe.ExportOptions:  # noqa: ANN401 - options
    prompts = () if target == "reference" else str(store.parent / "sets.json")
    return pe.ExportOptions(name, target=target, quality_threshold=0.25, prompts=prompts, **more)


@needs_proc
@pytest.mark.parametrize(
    ("target", "name", "numbers"),
    [
        ("reference", "chatml", [2]),
        ("reference", "dpo", [2]),
        pytest.param("trl", "chatml", [2], marks=pytest.mark.long),
        ("trl", "kto", [2]),
    ],
)
def test_lines_are_the_same_for_any_number_of_workers_and_parts(
    target: str, name: str, numbers: list[int], store: Path, tmp_path: Path
) -> None:
    asked = options(name, target, store)
    report = export(store, tmp_path / "one/out.jsonl", asked, 1, ONE_PART)
    expected = (tmp_path / "one/out.jsonl").read_bytes()
    assert expected.count(b"\n") == report.records > 30
    assert [Path(path).name for path in report.passed_over] == ["a.json", "e.json", "g.json"]
    if target == "reference":
        assert expected == rowwise.export([*runs(180), *runs(90)], name, 0.25)
    for workers in (1, *numbers):
        output = tmp_path / str(workers) / "out.jsonl"
        assert export(store, output, asked, workers) == report
        assert output.read_bytes() == expected


@needs_proc
def test_parquet_is_the_same_for_any_number_of_workers(store: Path, tmp_path: Path) -> None:
    asked = options("dpo", "trl", store)
    report = export(store, tmp_path / "one/out.parquet", asked, 1)
    assert export(store, tmp_path / "more/out.parquet", asked, 2) == report
    assert (tmp_path / "more/out.parquet").read_bytes() == (tmp_path / "one/out.parquet").read_bytes()


@needs_proc
@pytest.mark.parametrize(
    ("file_type", "name", "workers"),
    [("parquet", "dpo", 3), pytest.param("jsonl", "chatml", 2, marks=pytest.mark.long)],
)
def test_a_repository_is_the_same_for_any_number_of_workers(
    file_type: str, name: str, workers: int, store: Path, tmp_path: Path
) -> None:
    asked = options(name, "trl", store, file_type=file_type, test_fraction=0.3, max_shard_bytes=7_000)
    report = export(store, tmp_path / "one/data", asked, 1)
    assert export(store, tmp_path / "more/data", asked, workers) == report
    one, more = (contents(tmp_path / folder / "data") for folder in ("one", "more"))
    assert len(one) > 5
    manifests = [json.loads(files.pop("manifest.json")) for files in (one, more)]
    assert [manifest.pop("timings").keys() for manifest in manifests] == [{"seconds"}] * 2
    assert manifests[0] == manifests[1]
    assert more == one


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def test_no_more_processes_are_started_than_there_are_parts(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def executor(_job: Job, workers: int) -> Executor:
        asked.append(workers)
        raise KeyboardInterrupt

    for part_bytes, workers in ((ONE_PART, 8), (SMALL_PARTS, 3), (SMALL_PARTS, 1000)):
        monkeypatch.setattr(segments, "PART_BYTES", part_bytes)
        with pytest.raises(KeyboardInterrupt):
            pe.export(store, store.parent / "out.jsonl", pe.ExportOptions(workers=workers), executor=executor)
    assert asked == [1, 3, len(list(parts_of(find_sources(store))))]
    assert not list(store.parent.glob(".polars-export-*"))


def test_what_is_piped_is_read_by_the_process_that_it_was_given_to(store: Path, tmp_path: Path) -> None:
    def executor(_job: Job, workers: int) -> Executor:
        assert workers == 1
        raise KeyboardInterrupt

    os.mkfifo(tmp_path / "pipe")
    with (store / "b.jsonl").open("rb") as file:
        for piped in ("-", tmp_path / "pipe", f"/dev/fd/{file.fileno()}"):
            with pytest.raises(KeyboardInterrupt):
                pe.export([store, piped], tmp_path / "out.jsonl", pe.ExportOptions(workers=3), executor=executor)


# What is wrong with a trace: content that only its export needs, and what decides whether it is exported.
def bad_content(trace: Json) -> Json:
    trace["invocation"]["turns"][0]["turn_index"] = -1
    return trace


def bad_outline(trace: Json) -> Json:
    trace["metric_results"][0]["score"]["value"] = "high"
    return trace


def refused(source: object, output: Path, asked: pe.ExportOptions) -> tuple[int | None, str]:
    """Export what must be refused; return the line and the JSON path that the error names."""
    with pytest.raises(pe.BadRecordError) as caught:
        pe.export(source, output, asked)  # type: ignore[arg-type]
    assert not output.exists()
    assert not list(output.parent.glob(".polars-export-*"))
    return caught.value.line, caught.value.json_path


TURN, SCORE = "$.invocation.turns[0].turn_index", "$.metric_results[0].score.value"


@needs_proc
@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_of_several_bad_records_is_named(workers: int, tmp_path: Path) -> None:
    traces = runs(200)
    for number in (60, 61, 130, 190):
        bad_content(traces[number])
        traces[number]["metric_results"][0]["score"]["value"] = 1.0
    bad_outline(traces[199])
    source = write_lines(tmp_path / "runs.jsonl", *traces)
    assert refused(source, tmp_path / "out.jsonl", pe.ExportOptions(workers=workers)) == (61, TURN)


@needs_proc
@pytest.mark.parametrize("workers", [1, 2])
def test_of_pairs_the_first_bad_record_is_named_whichever_pass_meets_it(workers: int, tmp_path: Path) -> None:
    traces = runs(200)
    bad_content(traces[30])["metric_results"][0]["score"]["value"] = 2.0  # so it is chosen
    bad_content(traces[90])
    bad_outline(traces[120])
    bad_outline(traces[180])
    source = write_lines(tmp_path / "runs.jsonl", *traces)
    assert refused(source, tmp_path / "out.jsonl", pe.ExportOptions("dpo", workers=workers)) == (31, TURN)


def test_of_pairs_a_bad_record_is_named_that_the_second_pass_meets(tmp_path: Path) -> None:
    traces = runs(200)
    bad_content(traces[150])["metric_results"][0]["score"]["value"] = 2.0
    source = write_lines(tmp_path / "runs.jsonl", *traces)
    assert refused(source, tmp_path / "out.jsonl", pe.ExportOptions("dpo", workers=1)) == (151, TURN)


def test_of_pairs_a_bad_record_that_is_not_chosen_stops_nothing(tmp_path: Path) -> None:
    traces = [case_result("a", turn(str(score)), scores=[score]) for score in (0.1, 0.5, 0.9)]
    bad_content(traces[1])
    source = write_lines(tmp_path / "runs.jsonl", *traces)
    report = pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions("dpo"))
    assert (report.exported, report.dropped) == (2, {"not_selected": 1})


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

    def _part(self, name: str) -> segments.Part:
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
    assert [part.account.tally.traces_read for part in scanned] == [1_000, 1, 1, 1_000, 1]


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
def test_a_worker_that_is_killed_is_an_error(store: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    output.write_bytes(b"old")
    others = children(os.getpid())

    def on_progress(_read: int, _total: int | None, _traces: int) -> None:
        for child in sorted(children(os.getpid()) - others)[:1]:
            os.kill(child, signal.SIGKILL)

    with pytest.raises(pe.WorkerError, match=r"killed by signal 9, and the output is as it was; .* --workers") as e:
        pe.export([store] * 5, output, pe.ExportOptions(workers=2), on_progress=on_progress)
    assert (e.value.status, e.value.exit_status) == (-9, 5)
    assert output.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.long)])
def test_a_command_that_is_interrupted_leaves_neither_processes_nor_files(number: int, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "runs.jsonl", *runs(60))
    output = tmp_path / "out.jsonl"
    output.write_bytes(b"old")
    arguments = ["export", *[str(source)] * 300, "--format", "chatml", "--workers", "2", "--output", str(output)]
    code = f"{at_work(SMALL_PARTS)}\nfrom polars_export.cli import main; sys.exit(main(sys.argv[1:]))"
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
        assert (status, message) == (130, b"polars-export: interrupted; the output is as it was\n")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "runs.jsonl"]
    deadline = time.monotonic() + 30
    while number == signal.SIGKILL and workers & running().keys():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not workers & running().keys()
    assert output.read_bytes() == b"old"


def test_an_export_runs_in_a_thread_of_a_program_that_handles_interrupts_itself(store: Path, tmp_path: Path) -> None:
    def handler(_signal: int, _frame: object) -> None:
        pass

    before = signal.signal(signal.SIGINT, handler)
    try:
        with ThreadPoolExecutor() as threads:
            done = threads.submit(pe.export, store, tmp_path / "out.jsonl", pe.ExportOptions(workers=1)).result()
        assert done.exported == 180
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


@needs_proc
def test_a_script_is_not_run_again_by_its_workers_and_need_not_load_polars(tmp_path: Path) -> None:
    """Nor do they import what happens to lie where the user is, which the script does not either."""
    source = write_lines(tmp_path / "runs.jsonl", *runs(100))
    (tmp_path / "here").mkdir()
    for name in ("polars.py", "socket.py"):
        (tmp_path / "here" / name).write_text("raise SystemExit('not mine')", encoding="utf-8")
    script = tmp_path / "script.py"
    export = f"pe.export({str(source)!r}, {str(tmp_path / 'out.jsonl')!r}, pe.ExportOptions(workers=2))"
    script.write_text(
        f"{at_work(SMALL_PARTS)}\nimport polars_export as pe\nprint('once')\nprint({export}.exported)\n"
        "print(*sorted({'polars', 'pyarrow'} & {*sys.modules}))",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path / "here", capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("once\n100\n\n", "")


# Sources that cannot be read again from the middle; one process is enough for what follows.
TRACES = runs(90)
PLAIN = lines_of(TRACES)
SPOOLED = {
    "runs.jsonl.gz": gzip.compress(PLAIN),
    "two.jsonl.gz": gzip.compress(PLAIN[:5_000]) + gzip.compress(PLAIN[5_000:]),
    "marked.jsonl.gz": gzip.compress(b"\xef\xbb\xbf" + PLAIN),
    "runs.jsonl.zst": pa.Codec("zstd").compress(PLAIN, asbytes=True),
    "run.json.gz": gzip.compress(json.dumps(document(*TRACES), indent=1).encode()),
    "late.json.gz": gzip.compress(json.dumps({"case_results": TRACES, "eval_set_id": "late"}).encode()),
}


def piped(data: bytes, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))
    return "-"


@pytest.mark.parametrize("chunk_bytes", [3_000, pytest.param(1 << 21, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", [*SPOOLED, "plain", "marked"])
def test_pairs_of_what_is_compressed_or_piped_are_those_of_the_plain_file(
    name: str, chunk_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", chunk_bytes)
    expected = rowwise.export(TRACES, "dpo", 0.25)
    data = {"plain": PLAIN, "marked": b"\xef\xbb\xbf" + PLAIN, **SPOOLED}[name]
    (tmp_path / name).write_bytes(data)
    asked = pe.ExportOptions("dpo", quality_threshold=0.25, workers=1)
    pe.export(tmp_path / name, tmp_path / "out.jsonl", asked)
    assert (tmp_path / "out.jsonl").read_bytes() == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({name, "out.jsonl"})
    if name == "late.json.gz":
        return  # that would have to be read twice
    pe.export(piped(data, monkeypatch), tmp_path / "standard-input.jsonl", asked)
    assert (tmp_path / "standard-input.jsonl").read_bytes() == expected
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor() as threads:
        threads.submit((tmp_path / "pipe").write_bytes, data)
        pe.export(tmp_path / "pipe", tmp_path / "pipe.jsonl", asked)
    assert (tmp_path / "pipe.jsonl").read_bytes() == expected
    assert not list(tmp_path.glob(".polars-export-*"))


@pytest.mark.parametrize("chunk_bytes", [3_000, 1 << 21])
@pytest.mark.parametrize("is_piped", [False, True])
def test_a_bad_record_of_what_is_compressed_or_piped_is_named(
    *, is_piped: bool, chunk_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", chunk_bytes)
    best = runs(90)
    bad_content(best[40])["metric_results"][0]["score"]["value"] = 2.0
    worse = json.loads(json.dumps(best))
    bad_outline(worse[70])
    (tmp_path / "out").mkdir()
    for traces, place in ((best, 40), (worse, 40), ([*worse[:40], *worse[41:]], 69)):
        path = TURN if place == 40 else SCORE
        data = gzip.compress(lines_of(traces))
        (tmp_path / "runs.jsonl.gz").write_bytes(data)
        source = piped(data, monkeypatch) if is_piped else tmp_path / "runs.jsonl.gz"
        assert refused(source, tmp_path / "out/out.jsonl", pe.ExportOptions("dpo")) == (place + 1, path)
        data = json.dumps(document(*traces), indent=1).encode()
        (tmp_path / "run.json.gz").write_bytes(gzip.compress(data))
        source = piped(data, monkeypatch) if is_piped else tmp_path / "run.json.gz"
        where = path.replace("$", f"$.case_results[{place}]")
        assert refused(source, tmp_path / "out/out.jsonl", pe.ExportOptions("dpo")) == (None, where)


def test_a_spool_that_cannot_be_written_is_an_error_of_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.FileIO):
        def write(self, _data: object) -> int:
            raise OSError(28, "No space left on device")

    opened = Path.open

    def open_full(path: Path, *arguments: Any, **more: Any) -> Any:  # noqa: ANN401 - as `Path.open`
        return Full(path, "w") if path.name.startswith("source-") else opened(path, *arguments, **more)

    monkeypatch.setattr(Path, "open", open_full)
    (tmp_path / "runs.jsonl.gz").write_bytes(SPOOLED["runs.jsonl.gz"])
    with pytest.raises(pe.OutputError, match="No space left on device"):
        pe.export(tmp_path / "runs.jsonl.gz", tmp_path / "out.jsonl", pe.ExportOptions("dpo"))
    assert [path.name for path in tmp_path.iterdir()] == ["runs.jsonl.gz"]


# Few qualifying traces: outlines are decoded first, and only what qualifies in full.
@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("target", ["reference", "trl"])
def test_bad_content_below_the_threshold_stops_nothing_and_bad_json_always(
    *, target: str, few: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = stages.ThresholdReader.__init__

    def decided(qualifying: stages.ThresholdReader, *arguments: Any) -> None:  # noqa: ANN401 - as `ThresholdReader`
        begin(qualifying, *arguments)
        qualifying._few = few  # noqa: SLF001 - which way is taken cannot be seen from outside

    monkeypatch.setattr(stages.ThresholdReader, "__init__", decided)
    traces = [case_result(str(number), scores=[number / 10]) for number in range(10)]
    bad_content(traces[2])
    del traces[3]["invocation"]["model"]
    source, output = tmp_path / "runs.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(lines_of(traces))
    asked = pe.ExportOptions("chatml", target=target, quality_threshold=0.45, missing_prompt="keep")
    report = pe.export(source, output, asked)
    assert (report.traces_read, report.exported, report.dropped) == (10, 5, {"below_threshold": 5})
    bad_content(traces[7])
    bad_outline(traces[9])
    source.write_bytes(lines_of(traces))
    assert refused(source, tmp_path / "none.jsonl", asked) == (8, TURN)
    source.write_bytes(lines_of(traces[:5]) + b'{"case_id": "x"\n' + lines_of(traces[5:]))
    assert refused(source, tmp_path / "none.jsonl", asked) == (6, "$")
