"""However many processes do the work: the same bytes, the first error, nothing left behind whatever befalls them."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pytest

import polars_export as pe
from polars_export.execution import conductor
from polars_export.inputs.find import find_sources
from polars_export.inputs.partition import partition
from polars_export.pipeline.threshold_reader import ThresholdReader
from polars_export.sources import segments
from tests import rowwise
from tests.builders import case_result, turn, write_document, write_lines
from tests.faults.processes import small_parts_code
from tests.worker_runs import (
    SMALL_PARTS,
    TURN,
    bad_content,
    bad_outline,
    children,
    lines_of,
    needs_proc,
    place_of_error,
    runs,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polars_export.execution.executor import Executor
    from polars_export.execution.tasks import Job

Result = TypeVar("Result")

ONE_PART = 1 << 30


@pytest.fixture(autouse=True)
def _processes_also_for_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conductor, "_LEAST_FOR_PROCESSES", 0)
    monkeypatch.setattr(segments, "PART_BYTES", SMALL_PARTS)


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    before = children(os.getpid())
    yield
    assert children(os.getpid()) == before


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
    assert [Path(path).name for path in report.skipped_files] == ["a.json", "e.json", "g.json"]
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
    assert asked == [1, 3, len(list(partition(find_sources(store))))]
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


@needs_proc
@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_of_several_bad_records_is_named(workers: int, tmp_path: Path) -> None:
    traces = runs(200)
    for number in (60, 61, 130, 190):
        bad_content(traces[number])
        traces[number]["metric_results"][0]["score"]["value"] = 1.0
    bad_outline(traces[199])
    source = write_lines(tmp_path / "runs.jsonl", *traces)
    assert place_of_error(source, tmp_path / "out.jsonl", pe.ExportOptions(workers=workers)) == (61, TURN)


@needs_proc
@pytest.mark.parametrize("workers", [1, 2])
def test_of_pairs_the_first_bad_record_is_named_whichever_pass_meets_it(workers: int, tmp_path: Path) -> None:
    traces = runs(200)
    bad_content(traces[30])["metric_results"][0]["score"]["value"] = 2.0  # so it is chosen
    bad_content(traces[90])
    bad_outline(traces[120])
    bad_outline(traces[180])
    source = write_lines(tmp_path / "runs.jsonl", *traces)
    assert place_of_error(source, tmp_path / "out.jsonl", pe.ExportOptions("dpo", workers=workers)) == (31, TURN)


def test_of_pairs_a_bad_record_is_named_that_the_second_pass_meets(tmp_path: Path) -> None:
    traces = runs(200)
    bad_content(traces[150])["metric_results"][0]["score"]["value"] = 2.0
    source = write_lines(tmp_path / "runs.jsonl", *traces)
    assert place_of_error(source, tmp_path / "out.jsonl", pe.ExportOptions("dpo", workers=1)) == (151, TURN)


def test_of_pairs_a_bad_record_that_is_not_chosen_stops_nothing(tmp_path: Path) -> None:
    traces = [case_result("a", turn(str(score)), scores=[score]) for score in (0.1, 0.5, 0.9)]
    bad_content(traces[1])
    source = write_lines(tmp_path / "runs.jsonl", *traces)
    report = pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions("dpo"))
    assert (report.exported, report.dropped) == (2, {"not_selected": 1})


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
        f"{small_parts_code(SMALL_PARTS)}\nimport polars_export as pe\nprint('once')\nprint({export}.exported)\n"
        "print(*sorted({'polars', 'pyarrow'} & {*sys.modules}))",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path / "here", capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("once\n100\n\n", "")


# Few qualifying traces: outlines are decoded first, and only what qualifies in full.
@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("target", ["reference", "trl"])
def test_bad_content_below_the_threshold_stops_nothing_and_bad_json_always(
    *, target: str, few: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = ThresholdReader.__init__

    def decided(qualifying: ThresholdReader, *arguments: Any) -> None:  # noqa: ANN401 - as `ThresholdReader`
        begin(qualifying, *arguments)
        qualifying._few_stay = few  # noqa: SLF001 - which way is taken cannot be seen from outside

    monkeypatch.setattr(ThresholdReader, "__init__", decided)
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
    assert place_of_error(source, tmp_path / "none.jsonl", asked) == (8, TURN)
    source.write_bytes(lines_of(traces[:5]) + b'{"case_id": "x"\n' + lines_of(traces[5:]))
    assert place_of_error(source, tmp_path / "none.jsonl", asked) == (6, "$")
