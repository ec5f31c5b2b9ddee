"""The best and the worst run of a case: the first with the highest score, the last with the lowest."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_export as pe
from polars_export.execution import choose, in_memory, part_worker
from polars_export.pipeline import stages
from polars_export.selection.case_key import case_hash
from polars_export.selection.pairs import pairs
from polars_export.sources import segments, window
from tests import rowwise
from tests.builders import scored_trace, turn, write_lines

if TYPE_CHECKING:
    from pathlib import Path

CASES = st.tuples(st.none() | st.text("a\0+", max_size=4), st.text("a\0+", max_size=4))


def select(*runs: tuple[str | None, str, float]) -> pl.DataFrame:
    frame = pl.DataFrame(
        runs, schema={"eval_set_id": pl.String, "case_id": pl.String, "score": pl.Float64}, orient="row"
    )
    return pairs(frame.lazy()).collect()


def sides(*runs: tuple[str | None, str, float]) -> list[tuple[int, int]]:
    return select(*runs).filter(pl.col("runs") > 1).select("chosen", "rejected").rows()


def test_ties_choose_the_first_highest_and_the_last_lowest() -> None:
    assert sides(("s", "a", 0.9), ("s", "a", 0.9), ("s", "a", 0.1), ("s", "a", 0.1)) == [(0, 3)]


def test_equal_scores_still_make_a_pair_of_two_traces() -> None:
    assert sides(("s", "a", 0.5), ("s", "a", 0.5), ("s", "a", 0.5)) == [(0, 2)]


def test_a_single_run_makes_no_pair() -> None:
    assert select(("s", "a", 0.5), ("s", "b", 0.5)).select("runs", "chosen", "rejected").rows() == [
        (1, 0, 0),
        (1, 1, 1),
    ]


def test_pairs_stand_in_the_order_in_which_cases_appear() -> None:
    assert sides(("s", "b", 0.1), ("s", "a", 0.2), ("s", "a", 0.3), ("s", "b", 0.4)) == [(3, 0), (2, 1)]


def test_a_row_tells_the_runs_of_a_case_and_how_far_they_are_apart() -> None:
    told = select(("s", "a", 0.75), ("s", "b", 0.5), ("s", "a", 0.25), ("s", "a", 0.5)).select("runs", "margin")
    assert told.rows() == [(3, 0.5), (1, 0.0)]


def test_one_case_id_in_two_eval_sets_is_two_cases() -> None:
    assert sides(("s", "a", 0.1), ("t", "a", 0.2)) == []


def test_lines_without_an_eval_set_are_runs_of_one_case() -> None:
    assert sides((None, "a", 0.1), ("s", "a", 0.5), (None, "a", 0.2)) == [(2, 0)]


@given(st.lists(CASES, min_size=2, max_size=2, unique=True))
def test_cases_are_told_apart_by_their_digests(both: list[tuple[str | None, str]]) -> None:
    one, two = (case_hash(case, 16) for case in both)
    assert one != two
    assert one == case_hash(both[0], 16)


def runs_of_cases(seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)  # noqa: S311 - data
    return [
        scored_trace(f"case {rng.randrange(8)}", turn(f"answer {number}"), score=rng.choice([0.1, 0.5, 0.5, 0.9]))
        for number in range(300)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_choosing_among_objects_some_at_a_time_equals_row_by_row(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    traces = runs_of_cases(seed)
    monkeypatch.setattr(in_memory, "_OBJECTS_AT_ONCE", 5)
    monkeypatch.setattr(stages, "_PAIRS_AT_ONCE", 3)
    assert pe.export_traces(traces, pe.ExportOptions.dpo_pairs(0.2)) == rowwise.export(traces, "dpo", 0.2)


@pytest.mark.parametrize("seed", range(5))
def test_choosing_among_parts_and_reading_again_equals_row_by_row(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traces = runs_of_cases(seed)
    monkeypatch.setattr(segments, "PART_BYTES", 20_000)
    monkeypatch.setattr(choose, "segments", SimpleNamespace(PART_BYTES=2_500))
    monkeypatch.setattr(choose, "_TRACES_AT_ONCE", 40)
    monkeypatch.setattr(window, "CHUNK_BYTES", 1_700)
    monkeypatch.setattr(part_worker, "BATCH_BYTES", 4_000)
    monkeypatch.setattr(part_worker, "_SCANNED_AT_ONCE", 7)
    source = write_lines(tmp_path / "runs.jsonl", *traces)
    pe.export(source, tmp_path / "pairs.jsonl", pe.ExportOptions.dpo_pairs(0.2))
    assert (tmp_path / "pairs.jsonl").read_bytes() == rowwise.export(traces, "dpo", 0.2)


def test_the_choice_holds_forty_bytes_of_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[pl.DataFrame] = []
    choose_pairs = choose.choose

    def watched(parts: list[pl.DataFrame], *others: Any) -> Any:  # noqa: ANN401 - as `choose`
        held.extend(parts)
        return choose_pairs(parts, *others)

    monkeypatch.setattr(choose, "choose", watched)
    monkeypatch.setattr(segments, "PART_BYTES", 100_000)
    source = write_lines(tmp_path / "runs.jsonl", *[scored_trace(f"case {row % 700}") for row in range(1_000)])
    pe.export(source, tmp_path / "pairs.jsonl", pe.ExportOptions.dpo_pairs(0.0))
    assert len(held) > 3
    assert [part.estimated_size() for part in held] == [40 * part.height for part in held]
    assert sum(part.height for part in held) == 1_000
