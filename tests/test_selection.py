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
from polars_export.execution import choose, part_scanner
from polars_export.inputs.eval_results import objects
from polars_export.pipeline import threshold_reader
from polars_export.selection import decide
from polars_export.selection.case_key import case_hash, with_case_key
from polars_export.selection.pairs import BestWorstPairs
from polars_export.selection.rule import DECISIONS
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
    decisions = BestWorstPairs(allow_ties=True).select(with_case_key(frame))
    assert decisions.schema == DECISIONS
    assert decisions["row"].sort().to_list() == list(range(len(runs)))
    return decisions


def sides(*runs: tuple[str | None, str, float]) -> list[tuple[int, int]]:
    rows = select(*runs).filter(pl.col("reason").is_null()).sort("group", "rank")["row"].to_list()
    return list(zip(rows[::2], rows[1::2], strict=True))


def test_ties_choose_the_first_highest_and_the_last_lowest() -> None:
    assert sides(("s", "a", 0.9), ("s", "a", 0.9), ("s", "a", 0.1), ("s", "a", 0.1)) == [(0, 3)]


def test_equal_scores_still_make_a_pair_of_two_traces() -> None:
    assert sides(("s", "a", 0.5), ("s", "a", 0.5), ("s", "a", 0.5)) == [(0, 2)]


def test_a_single_run_makes_no_pair() -> None:
    decisions = select(("s", "a", 0.5), ("s", "b", 0.5)).sort("row")
    assert decisions["reason"].to_list() == ["single_run", "single_run"]


def test_pairs_stand_in_the_order_in_which_cases_appear() -> None:
    assert sides(("s", "b", 0.1), ("s", "a", 0.2), ("s", "a", 0.3), ("s", "b", 0.4)) == [(3, 0), (2, 1)]


def test_every_trace_has_a_reason_or_a_place_in_a_pair() -> None:
    decisions = select(("s", "a", 0.75), ("s", "b", 0.5), ("s", "a", 0.25), ("s", "a", 0.5)).sort("row")
    assert decisions.rows() == [
        (0, 0, 0, None),
        (1, 1, 0, "single_run"),
        (2, 0, 1, None),
        (3, 3, 0, "not_selected"),
    ]


def test_ties_small_margins_and_traces_without_a_score_are_told_apart() -> None:
    runs = [("a", 0.5), ("a", 0.5), ("b", 0.5), ("b", 0.25), ("c", 1.0), ("c", 0.0), ("c", None), ("d", None)]
    frame = pl.DataFrame([("s", *run) for run in runs], schema=["eval_set_id", "case_id", "score"], orient="row")
    decisions = BestWorstPairs(min_margin=0.3).select(with_case_key(frame)).sort("row")
    assert decisions["reason"].to_list() == [
        *["tied"] * 2, *["small_margin"] * 2, None, None, "unscored", "unscored"
    ]  # fmt: skip


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
    monkeypatch.setattr(objects, "_OBJECTS_AT_ONCE", 5)
    assert pe.export_traces(traces, pe.ExportOptions.dpo_pairs(0.2)) == rowwise.export(traces, "dpo", 0.2)


@pytest.mark.parametrize("seed", range(5))
def test_choosing_among_parts_and_reading_again_equals_row_by_row(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traces = runs_of_cases(seed)
    monkeypatch.setattr(segments, "PART_BYTES", 20_000)
    monkeypatch.setattr(choose, "segments", SimpleNamespace(PART_BYTES=2_500))
    monkeypatch.setattr(decide, "_TRACES_AT_ONCE", 40)
    monkeypatch.setattr(window, "CHUNK_BYTES", 1_700)
    monkeypatch.setattr(threshold_reader, "BATCH_BYTES", 4_000)
    monkeypatch.setattr(part_scanner, "_TRACES_AT_ONCE", 7)
    source = write_lines(tmp_path / "runs.jsonl", *traces)
    pe.export(source, tmp_path / "pairs.jsonl", pe.ExportOptions.dpo_pairs(0.2))
    assert (tmp_path / "pairs.jsonl").read_bytes() == rowwise.export(traces, "dpo", 0.2)


def test_the_choice_holds_forty_four_bytes_of_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert [part.estimated_size() for part in held] == [44 * part.height for part in held]
    assert sum(part.height for part in held) == 1_000
