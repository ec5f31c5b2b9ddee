"""Whatever executor runs the tasks of an export: the same bytes, the same account, the first error."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.execution.in_process_executor import InProcessExecutor
from polars_export.sources import segments
from tests.builders import case_result, turn, write_document, write_lines
from tests.plugins.executor import BackwardExecutor

if TYPE_CHECKING:
    from pathlib import Path

    from polars_export.execution.tasks import Job


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", 5_000)


def traces(count: int) -> list[dict[str, Any]]:
    return [
        case_result(f"case {number % 9}", turn(f"answer {number} " + "word " * 20), scores=[number % 7 / 7])
        for number in range(count)
    ]


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    lines = write_lines(tmp_path / "a.jsonl", *traces(60))
    return [lines, write_document(tmp_path / "b.json", *traces(20))]


def contents(output: Path) -> dict[str, bytes]:
    if output.is_file():
        return {"": output.read_bytes()}
    files = {path.name: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    return {name: data.partition(b'"timings"')[0] for name, data in files.items()}


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet", "out"])
@pytest.mark.parametrize("format_", ["chatml", "dpo"])
def test_an_executor_of_ones_own_gives_the_same_bytes(
    format_: str, name: str, sources: list[Path], tmp_path: Path
) -> None:
    made: list[BackwardExecutor] = []

    def executor(job: Job, workers: int) -> BackwardExecutor:
        made.append(BackwardExecutor(job, workers))
        return made[0]

    options = pe.ExportOptions(format_, quality_threshold=0.25, overwrite=True)
    report = pe.export(sources, tmp_path / name, options)
    expected = contents(tmp_path / name)
    again = pe.export(sources, tmp_path / name, options, executor=executor)
    assert contents(tmp_path / name) == expected
    assert replace(again, seconds=0) == replace(report, seconds=0)
    kinds = list(dict.fromkeys(made[0].tasks_run))
    described = ["DescribeDataset"] if name == "out" else []
    assert kinds == (["RenderPart"] if format_ == "chatml" else ["ScanPart", "RenderSelection"]) + described
    assert made[0].tasks_run.count(kinds[0]) > 3


def test_the_first_error_in_order_is_raised_whatever_runs_first(tmp_path: Path) -> None:
    records = traces(60)
    for number in (30, 50):
        records[number]["invocation"]["turns"][0]["turn_index"] = -1
    source = write_lines(tmp_path / "runs.jsonl", *records)
    with pytest.raises(pe.BadRecordError, match=r"runs\.jsonl:31"):
        pe.export(source, tmp_path / "out.jsonl", executor=BackwardExecutor)
    assert [path.name for path in tmp_path.iterdir()] == ["runs.jsonl"]


def test_in_this_process_a_task_runs_when_its_result_is_asked_for(sources: list[Path], tmp_path: Path) -> None:
    progress: list[int] = []

    class Recording(InProcessExecutor):
        def run(self, tasks: Any, on_progress: Any) -> Any:  # noqa: ANN401 - as of the executor
            for result in super().run(tasks, on_progress):
                progress.append(-1)
                yield result

    def executor(job: Job, _workers: int) -> Recording:
        return Recording(job)

    pe.export(sources, tmp_path / "out.jsonl", on_progress=lambda read, *_: progress.append(read), executor=executor)
    first = progress.index(-1)
    assert 0 < progress[first - 1] < max(progress)
