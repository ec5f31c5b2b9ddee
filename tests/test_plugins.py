"""A rule, a target and an executor, each of one file of the tests, plug in without a change elsewhere, and together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import polars_export as pe
from polars_export.execution import conductor
from polars_export.sources import segments
from tests.builders import case_result, turn, write_document, write_lines
from tests.plugins.executor import BackwardExecutor
from tests.plugins.rule import ShortestRuns
from tests.plugins.target import PLAIN_TEXT

if TYPE_CHECKING:
    from pathlib import Path

    from polars_export.execution.tasks import Job

RUNS = [(case, turns) for turns in (3, 1, 2, 1) for case in ("a", "b", "c")] + [("d", 2)]


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", 5_000)


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    traces = [
        case_result(case, *(turn(f"{case}{number}.{place}") for place in range(turns)), scores=[number / 20])
        for number, (case, turns) in enumerate(RUNS)
    ]
    return [write_lines(tmp_path / "a.jsonl", *traces[:7]), write_lines(tmp_path / "b.jsonl", *traces[7:])]


def shortest(count: int) -> list[int]:
    """Return the numbers of the runs that the rule keeps, in plain Python."""
    kept = []
    for case in "abcd":
        runs = [(turns, number) for number, (name, turns) in enumerate(RUNS) if name == case]
        kept += [number for _, number in sorted(runs)[:count]]
    return sorted(kept)


def exported(sources: list[Path], output: Path, executor: Any, **options: Any) -> tuple[list[Any], pe.ExportReport]:  # noqa: ANN401 - as of `export`
    report = pe.export(sources, output, pe.ExportOptions(**options), executor=executor)
    return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()], report


@pytest.mark.parametrize("executor", [None, BackwardExecutor])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_a_rule_a_target_and_an_executor_of_ones_own(
    executor: Any,  # noqa: ANN401 - as of `export`
    count: int,
    sources: list[Path],
    tmp_path: Path,
) -> None:
    records, report = exported(
        sources, tmp_path / "out.jsonl", executor,
        format="transcript", target=PLAIN_TEXT, missing_prompt="keep", rules=[ShortestRuns(count)],
    )  # fmt: skip
    kept = shortest(count)
    assert [record["transcript"].split(".")[0] for record in records] == [f"{RUNS[n][0]}{n}" for n in kept]
    assert report.exported == len(kept)
    assert report.dropped == ({"too_many_turns": len(RUNS) - len(kept)} if len(kept) < len(RUNS) else {})


def test_local_processes_apply_a_rule_of_ones_own(
    sources: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conductor, "_LEAST_FOR_PROCESSES", 0)
    options = pe.ExportOptions(workers=2, rules=[ShortestRuns(1)])
    report = pe.export(sources, tmp_path / "two.jsonl", options)
    pe.export(sources, tmp_path / "one.jsonl", pe.ExportOptions(workers=1, rules=[ShortestRuns(1)]))
    assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    assert report.exported == 4


def test_pairs_are_made_of_what_a_rule_of_ones_own_keeps(sources: list[Path], tmp_path: Path) -> None:
    records, report = exported(sources, tmp_path / "out.jsonl", None, format="dpo", rules=[ShortestRuns(2)])
    assert [record["case_id"] for record in records] == ["a", "b", "c"]
    assert [record["chosen"]["metadata"]["turns"] for record in records] == [1, 1, 1]
    assert report.dropped == {"too_many_turns": 6, "single_run": 1}


class LongRuns:
    """Keeps the traces of at least two turns."""

    columns = ("turns",)
    scope = pe.Scope.TRACE

    def select(self, traces: pl.DataFrame, /) -> pl.DataFrame:
        row = pl.int_range(pl.len(), dtype=pl.UInt32)
        reason = pl.when(pl.col("turns") < 2).then(pl.lit("short"))
        return traces.select(row=row, group=row, rank=pl.lit(0, pl.UInt32), reason=reason)


def test_a_rule_that_looks_at_each_trace_needs_no_second_pass(tmp_path: Path) -> None:
    tasks: list[BackwardExecutor] = []

    def executor(job: Job, workers: int) -> BackwardExecutor:
        tasks.append(BackwardExecutor(job, workers))
        return tasks[0]

    source = write_document(tmp_path / "a.json", case_result("a", turn("x")), case_result("b", turn("x"), turn("y")))
    records, report = exported([source], tmp_path / "out.jsonl", executor, rules=[LongRuns()])
    assert [record["metadata"]["case_id"] for record in records] == ["b"]
    assert report.dropped == {"short": 1}
    assert tasks[0].tasks_run == ["RenderPart"]
