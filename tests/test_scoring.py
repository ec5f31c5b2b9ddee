"""Scores are means summed from left to right; the reference's threshold is held in single precision."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_export as pe
from polars_export.selection.threshold import Threshold
from polars_export.tables.score import score
from tests.builders import case_result, write_lines

METRICS = pl.List(pl.Struct({"value": pl.Float64}))


def scores(values: list[list[float]]) -> list[float | None]:
    metrics = [[{"value": value} for value in of_trace] for of_trace in values]
    frame = pl.DataFrame({"metrics": metrics}, schema={"metrics": METRICS}).with_columns(
        recorded_score=pl.lit(None, dtype=pl.Float64)
    )
    return frame.select(score()).to_series().to_list()


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=20), min_size=1, max_size=5))
def test_the_mean_is_summed_from_left_to_right(values: list[list[float]]) -> None:
    expected: list[float | None] = []
    for of_trace in values:
        total = 0.0
        for value in of_trace:
            total += value
        expected.append(total / len(of_trace) if of_trace else None)
    assert scores(values) == expected


def test_a_recorded_score_is_taken_as_it_is() -> None:
    frame = pl.DataFrame({"metrics": [[]], "recorded_score": [0.25]}, schema_overrides={"metrics": METRICS})
    assert frame.select(score()).item() == 0.25


@pytest.mark.parametrize(("value", "threshold", "passes"), [(0.8, 0.8, False), (0.5, 0.5, True), (0.7, 0.7, True)])
def test_the_threshold_of_the_reference_is_single_precision(value: float, threshold: float, *, passes: bool) -> None:
    decisions = Threshold(threshold, single_precision=True).select(pl.DataFrame({"score": [value]}))
    assert (decisions["reason"].item() is None) is passes


def test_a_trace_without_a_score_reaches_no_threshold() -> None:
    traces = pl.DataFrame({"score": [None, -1.0, 0.8]})
    assert Threshold(0.8).select(traces)["reason"].to_list() == ["unscored", "below_threshold", None]


def test_a_case_result_without_metrics_scores_zero(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "runs.jsonl", case_result(scores=[]))
    assert pe.read_traces(source)["score"].to_list() == [0.0]


def test_scores_of_the_sample_equal_the_means_of_its_metrics() -> None:
    source = Path(__file__).parents[1] / "data/results/airline/1715770000.json"
    cases = json.loads(source.read_text(encoding="utf-8"))["case_results"]
    expected = [pe.ScoredTrace.from_case_result(case).score for case in cases]
    assert pe.read_traces(source)["score"].to_list() == expected
