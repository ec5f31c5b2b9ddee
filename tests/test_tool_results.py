"""Tool results belong to the calls that they name, else to the calls of their turn in order; the others are orphans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

import polars_export as pe
from polars_export.messages.tool_results import BoundResults, bind_results
from tests.builders import call, case_result, result, turn, write_lines

if TYPE_CHECKING:
    from pathlib import Path

IDS = st.sampled_from([None, "", "a", "b", "c"])


@st.composite
def calls_and_results(draw: st.DrawFn) -> tuple[list[list[str | None]], list[tuple[int, str | None]]]:
    calls = draw(st.lists(st.lists(IDS, max_size=3), min_size=1, max_size=4))
    results = draw(st.lists(st.tuples(st.integers(0, len(calls) - 1), IDS), max_size=6))
    return calls, sorted(results, key=lambda placed: placed[0])


@given(calls_and_results())
def test_every_result_is_at_one_turn_or_an_orphan(
    given_calls: tuple[list[list[str | None]], list[tuple[int, str | None]]],
) -> None:
    calls, results = given_calls
    bound = bind_results(calls, results)
    numbers = [number for of_turn in bound.by_turn for number, _ in of_turn]
    assert len(numbers) == len(set(numbers))
    assert len(numbers) + sum(bound.orphans) == len(results)
    for turn_number, of_turn in enumerate(bound.by_turn):
        for number, place in of_turn:
            stood, name = results[number]
            assert calls[turn_number][place] == name if name else stood == turn_number
        stand_here = [number for number, _ in of_turn if results[number][0] == turn_number]
        assert stand_here == sorted(stand_here)
        assert len(of_turn) - len(stand_here) == bound.moved[turn_number]
    known = {name for of_turn in calls for name in of_turn if name}
    named_orphans = sum(1 for _, name in results if name and name not in known)
    unnamed = sum(1 for _, name in results if not name)
    assert named_orphans <= sum(bound.orphans) <= named_orphans + unnamed


def test_a_result_goes_to_the_latest_turn_that_waits_for_it() -> None:
    assert bind_results([["x"], ["x"], []], [(1, "x"), (2, "x"), (2, "x")]) == BoundResults(
        by_turn=[[(1, 0)], [(0, 0), (2, 0)], []], orphans=[0, 0, 0], moved=[1, 1, 0]
    )


def test_a_result_prefers_its_own_turn_then_the_nearest_before_then_the_first_behind() -> None:
    assert bind_results([["x"], ["x"], ["y"]], [(1, "x"), (0, "y")]) == BoundResults(
        by_turn=[[], [(0, 0)], [(1, 0)]], orphans=[0, 0, 0], moved=[0, 0, 1]
    )


def test_results_without_an_id_answer_the_calls_in_order() -> None:
    assert bind_results([["a", "b"], []], [(0, None), (0, ""), (0, None), (1, None)]) == BoundResults(
        by_turn=[[(0, 0), (1, 1)], []], orphans=[1, 1], moved=[0, 0]
    )


def test_calls_of_one_turn_with_the_same_id_are_answered_in_order() -> None:
    assert bind_results([["a", "a"]], [(0, "a"), (0, "a"), (0, "a")]).by_turn == [[(0, 0), (1, 1), (2, 1)]]


def test_orphans_and_moved_results_are_counted_and_results_stand_behind_their_calls(tmp_path: Path) -> None:
    late = turn("first", calls=[call(call_id="1"), call("wait", call_id="2")], results=[result("one", "1")])
    early = turn("second", results=[result("two", "2"), result("lost", "9")], index=1)
    source = write_lines(tmp_path / "a.jsonl", case_result("a", late, early, turn("third", index=2)))
    turns = pe.read(source).turns
    assert turns["tool_results"].list.eval(pl.element().struct.field("text")).to_list() == [["one", "two"], [], []]
    assert turns["tool_results"].list.eval(pl.element().struct.field("name")).to_list() == [["look", "wait"], [], []]
    assert turns.select("tool_result_count", "orphan_results", "moved_results").rows() == [
        (2, 0, 1), (0, 1, 0), (0, 0, 0)
    ]  # fmt: skip
    options = pe.ExportOptions("chatml", target="trl", missing_prompt="keep")
    report = pe.export(source, tmp_path / "out.jsonl", options)
    assert report.dropped_content == {"orphan results": 1, "moved results": 1}


def test_the_reference_counts_all_results_and_renders_none(tmp_path: Path) -> None:
    orphan = turn("first", results=[result("lost", "9")])
    source = write_lines(tmp_path / "a.jsonl", case_result("a", orphan))
    report = pe.export(source, tmp_path / "out.jsonl")
    assert report.dropped_content == {"tool results": 1}
