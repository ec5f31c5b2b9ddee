"""The best and the worst run of a case: the first with the highest score, the last with the lowest."""

from __future__ import annotations

import random

import polars as pl
import pytest

import polars_export as pe
from polars_export.pipeline import run, stages
from polars_export.selection import candidates, pairs
from tests import rowwise
from tests.builders import scored_trace, turn


def select(*runs: tuple[str | None, str, float]) -> list[tuple[int, int]]:
    frame = pl.DataFrame(
        runs, schema={"eval_set_id": pl.String, "case_id": pl.String, "score": pl.Float64}, orient="row"
    ).with_columns(first_seen=pl.int_range(pl.len()))
    return pairs(candidates(frame.lazy())).collect().select("chosen", "rejected").rows()


def test_ties_choose_the_first_highest_and_the_last_lowest() -> None:
    assert select(("s", "a", 0.9), ("s", "a", 0.9), ("s", "a", 0.1), ("s", "a", 0.1)) == [(0, 3)]


def test_equal_scores_still_make_a_pair_of_two_traces() -> None:
    assert select(("s", "a", 0.5), ("s", "a", 0.5), ("s", "a", 0.5)) == [(0, 2)]


def test_a_single_run_makes_no_pair() -> None:
    assert select(("s", "a", 0.5), ("s", "b", 0.5)) == []


def test_pairs_stand_in_the_order_in_which_cases_appear() -> None:
    assert select(("s", "b", 0.1), ("s", "a", 0.2), ("s", "a", 0.3), ("s", "b", 0.4)) == [(3, 0), (2, 1)]


def test_one_case_id_in_two_eval_sets_is_two_cases() -> None:
    assert select(("s", "a", 0.1), ("t", "a", 0.2)) == []


def test_lines_without_an_eval_set_are_runs_of_one_case() -> None:
    assert select((None, "a", 0.1), ("s", "a", 0.5), (None, "a", 0.2)) == [(2, 0)]


@pytest.mark.parametrize("seed", range(5))
def test_dropping_traces_on_the_way_changes_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)  # noqa: S311 - data
    traces = [
        scored_trace(f"case {rng.randrange(8)}", turn(f"answer {number}"), score=rng.choice([0.1, 0.5, 0.5, 0.9]))
        for number in range(300)
    ]
    monkeypatch.setattr(stages, "_PRUNE_AT_LEAST", 7)
    monkeypatch.setattr(run, "_OBJECTS_AT_ONCE", 5)
    monkeypatch.setattr(stages, "_PAIRS_AT_ONCE", 3)
    assert pe.export_traces(traces, pe.ExportOptions.dpo_pairs(0.2)) == rowwise.export(traces, "dpo", 0.2)
