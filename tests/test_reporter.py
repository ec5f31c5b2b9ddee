"""The reference's programming interface."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import polars_export as pe
from tests import rowwise
from tests.builders import case_result, document, scored_trace, turn

SAMPLE = Path(__file__).parents[1] / "data/results/airline/1715770000.json"
RUNS = [case_result("a", turn("good"), scores=[0.9]), case_result("a", turn("bad"), scores=[0.1])]


def test_case_results_scored_traces_and_dicts_are_accepted_alike() -> None:
    scored = [pe.ScoredTrace.from_case_result(run) for run in RUNS]
    expected = rowwise.export(RUNS, "dpo", 0.0)
    options = pe.ExportOptions.dpo_pairs(0.0)
    assert pe.export_traces(RUNS, options) == expected
    assert pe.export_traces(iter(scored), options) == expected
    assert pe.export_traces([RUNS[0], scored[1]], options) == expected


def test_the_default_is_chatml_of_all_traces() -> None:
    assert pe.export_traces(RUNS) == rowwise.export(RUNS, "chatml", 0.0)


@pytest.mark.parametrize(
    ("exporter", "format_name"),
    [(pe.ChatMlExporter(), "chatml"), (pe.DpoExporter(), "dpo"), (pe.ShareGptExporter(), "sharegpt")],
)
def test_an_exporter_decides_on_the_format(exporter: pe.TrainingExporter, format_name: str) -> None:
    options = pe.ExportOptions("sharegpt", quality_threshold=0.05, include_metadata=False)
    assert exporter.export(RUNS, options) == rowwise.export(RUNS, format_name, 0.05, metadata=False)


def test_a_scored_trace_is_the_mean_of_its_metrics() -> None:
    assert pe.ScoredTrace.from_case_result(case_result(scores=[0.1, 0.2, 0.3])).score == (0.1 + 0.2 + 0.3) / 3
    assert pe.ScoredTrace.from_case_result(case_result(scores=[])).score == 0.0
    with pytest.raises(pe.BadRecordError, match=r"\$\.metric_results\[0\]\.score\.value: expected a number"):
        pe.ScoredTrace.from_case_result(case_result(scores=["1"]))  # type: ignore[list-item]
    with pytest.raises(pe.BadRecordError, match="expected a case result, found something else"):
        pe.ScoredTrace.from_case_result(case_result(scores=[10**400]))


@pytest.mark.parametrize(
    ("reporter", "format_name", "threshold"),
    [
        (pe.TrainingReporter.chatml_sft(0.6, "sft.jsonl"), "chatml", 0.6),
        (pe.TrainingReporter.sharegpt("share.jsonl"), "sharegpt", 0.0),
        (pe.TrainingReporter(pe.ExportOptions(), "plain.jsonl"), "chatml", 0.0),
    ],
)
def test_the_reporter_renders_a_results_document_and_writes_nothing(
    reporter: pe.TrainingReporter, format_name: str, threshold: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    results = json.loads(SAMPLE.read_text(encoding="utf-8"))
    artifact = reporter.render(results)
    assert artifact.path == reporter.path
    assert artifact.data == rowwise.export(results["case_results"], format_name, threshold)
    assert list(tmp_path.iterdir()) == []


def test_the_reporter_pairs_the_runs_of_a_document() -> None:
    artifact = pe.TrainingReporter.dpo_pairs(0.0, "pairs.jsonl").render(document(*RUNS))
    assert (artifact.path, artifact.data) == ("pairs.jsonl", rowwise.export(RUNS, "dpo", 0.0))


def test_the_reporter_has_nothing_to_export_from_single_runs() -> None:
    with pytest.raises(
        pe.NothingToExportError, match=r"at quality threshold 0.5: 2 traces read, 1 below_threshold, 1 s"
    ) as e:
        pe.TrainingReporter.dpo_pairs(0.5, "pairs.jsonl").render(document(*RUNS))
    assert (e.value.threshold, e.value.traces_read) == (0.5, 2)


@pytest.mark.parametrize("name", ["chatml", "dpo", "sharegpt"])
def test_no_objects_are_nothing_to_export(name: str) -> None:
    with pytest.raises(pe.NothingToExportError, match="0 traces read"):
        pe.export_traces(iter([]), pe.ExportOptions(name))


@pytest.mark.parametrize("results", [{}, {"eval_set_id": "s"}, {"eval_set_id": 3, "case_results": []}])
def test_the_reporter_refuses_what_is_no_results_document(results: dict[str, Any]) -> None:
    with pytest.raises(pe.BadRecordError, match="expected an object with `eval_set_id` and `case_results`"):
        pe.TrainingReporter.sharegpt("x").render(results)


@pytest.mark.parametrize("value", [math.nan, math.inf, "\ud800", object(), {1, 2}])
def test_what_has_no_json_form_is_refused(value: object) -> None:
    traces = [scored_trace(), scored_trace("b", turn("x", calls=[{"id": "1", "name": "n", "arguments": value}]))]
    with pytest.raises(pe.SerializationError, match="trace 1: it has no JSON form: ") as caught:
        pe.export_traces(traces)
    assert caught.value.index == 1


def test_a_bad_case_result_is_named_by_its_place_in_the_document() -> None:
    with pytest.raises(
        pe.BadRecordError, match=r"traces: \$\.case_results\[1\]\.case_id: expected a string, found null"
    ):
        pe.TrainingReporter.sharegpt("x").render(document(case_result(), case_result() | {"case_id": None}))


def test_an_object_that_is_no_json_is_named_by_its_type() -> None:
    with pytest.raises(pe.BadRecordError, match=r"\$\.case_id: expected a string, found a Python object"):
        pe.ScoredTrace.from_case_result(case_result() | {"case_id": object()})


def test_a_bad_object_is_named_by_its_index() -> None:
    with pytest.raises(pe.BadRecordError, match=r"traces: \$\[1\]\.case_id: expected a string, found null"):
        pe.export_traces([scored_trace(), scored_trace() | {"case_id": None}])


def test_the_public_names_are_all_there() -> None:
    assert {name: getattr(pe, name, None) for name in pe.__all__ if getattr(pe, name, None) is None} == {}
    assert dir(pe) == sorted(pe.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'exprot'"):
        pe.exprot  # noqa: B018
