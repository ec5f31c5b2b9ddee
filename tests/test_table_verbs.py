"""Tables are filtered, sorted, sampled, widened and concatenated with their turns in step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

import polars_export as pe
from tests.builders import case_result, turn, write_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def tables(tmp_path: Path) -> pe.Tables:
    """Six traces with 3, 0, 1, 2, 1 and 2 turns, whose texts say which trace they are of."""
    lengths = [3, 0, 1, 2, 1, 2]
    traces = [
        case_result(f"case {number % 2}", *(turn(f"{number}.{place}") for place in range(length)), scores=[number / 10])
        for number, length in enumerate(lengths)
    ]
    traces[1]["invocation"]["turns"] = []
    return pe.read(write_lines(tmp_path / "runs.jsonl", *traces))


def spoken(tables: pe.Tables) -> list[tuple[int, list[str]]]:
    """Return for each trace its number and the texts of its turns, by where its turns stand."""
    ends = tables.traces["turns"].cum_sum().to_list()
    texts = tables.turns["text"].to_list()
    numbers = tables.traces["trace"].to_list()
    return [
        (number, texts[end - length : end])
        for number, end, length in zip(numbers, ends, tables.traces["turns"], strict=True)
    ]


ALL = [
    (0, ["0.0", "0.1", "0.2"]), (1, []), (2, ["2.0"]), (3, ["3.0", "3.1"]), (4, ["4.0"]), (5, ["5.0", "5.1"]),
]  # fmt: skip


def test_filter_takes_expressions_and_series_that_must_all_hold(tables: pe.Tables) -> None:
    assert spoken(tables.filter(pl.col("score") > 0.1, pl.col("case_id") == "case 1")) == [ALL[3], ALL[5]]
    assert spoken(tables.filter(tables.traces["turns"] == 1)) == [ALL[2], ALL[4]]
    assert spoken(tables.filter()) == ALL
    assert spoken(tables.filter(pl.lit(value=False))) == []
    unknown = pl.when(pl.col("trace") != 4).then(pl.col("turns") < 2)
    assert spoken(tables.filter(unknown)) == [ALL[1], ALL[2]]
    assert tables.filter(pl.lit(value=False)).turns.schema == tables.turns.schema


def test_sort_moves_the_turns_too_and_keeps_equal_traces_in_order(tables: pe.Tables) -> None:
    assert [number for number, _ in spoken(tables.sort("score", descending=True))] == [5, 4, 3, 2, 1, 0]
    by_two = tables.sort(["case_id", pl.col("turns")], descending=[True, False])
    assert spoken(by_two) == [ALL[1], ALL[3], ALL[5], ALL[2], ALL[4], ALL[0]]
    assert spoken(tables.sort(pl.lit(1))) == ALL
    with pytest.raises(pe.OptionError, match="by: expected a column"):
        tables.sort([])


def test_nulls_are_sorted_where_they_are_asked_for(tables: pe.Tables) -> None:
    with_null = tables.with_columns(score=pl.when(pl.col("trace") != 2).then("score"))
    assert spoken(with_null.sort("score"))[0] == ALL[2]
    assert spoken(with_null.sort("score", nulls_last=True))[-1] == ALL[2]


def test_a_sample_has_so_many_traces_in_order_and_is_the_same_for_a_seed(tables: pe.Tables) -> None:
    samples = [spoken(tables.sample(n=3, seed=seed)) for seed in range(20)]
    assert samples == [spoken(tables.sample(n=3, seed=seed)) for seed in range(20)]
    assert all(sample == [entry for entry in ALL if entry in sample] and len(sample) == 3 for sample in samples)
    assert len({str(sample) for sample in samples}) > 5
    assert spoken(tables.sample(n=3, seed=7)) == [ALL[1], ALL[2], ALL[3]]  # with any version of Polars
    assert len(tables.sample(fraction=0.5)) == 3
    assert len(tables.sample(n=0)) == 0


@pytest.mark.parametrize(
    ("take", "message"),
    [
        (lambda tables: tables.sample(), "n: expected either n or fraction"),
        (lambda tables: tables.sample(n=1, fraction=0.5), "n: expected either n or fraction"),
        (lambda tables: tables.sample(n=7), "n: expected a number from 0 to 6"),
        (lambda tables: tables.sample(fraction=1.5), "fraction: expected a number from 0 to 1"),
    ],
)
def test_a_sample_that_cannot_be_is_an_error(
    take: Callable[[pe.Tables], pe.Tables], message: str, tables: pe.Tables
) -> None:
    with pytest.raises(pe.OptionError, match=message):
        take(tables)


def test_columns_of_ones_own_go_along_with_their_traces(tables: pe.Tables) -> None:
    wider = tables.with_columns((pl.col("turns") * 2).alias("double"), best=pl.col("score").max().over("case_id"))
    assert wider.sort("score", descending=True).traces["double"].to_list() == [4, 2, 4, 2, 0, 6]
    assert wider.filter(pl.col("score") == pl.col("best")).traces["trace"].to_list() == [4, 5]
    assert wider.turns is tables.turns


@pytest.mark.parametrize("name", ["trace", "turns"])
def test_what_keeps_the_tables_in_step_cannot_be_changed(name: str, tables: pe.Tables) -> None:
    assert len(tables.with_columns(pl.col(name))) == 6
    with pytest.raises(pe.OptionError, match=f"traces: column {name} keeps the tables in step"):
        tables.with_columns(pl.col(name) + 1)


def test_concatenated_traces_are_numbered_anew(tables: pe.Tables) -> None:
    short, wider = tables.filter(pl.col("turns") == 1), tables.with_columns(mine=pl.lit("x")).sample(n=2, seed=7)
    joined = pe.concat([short, wider, short])
    assert spoken(joined) == [
        (0, ["2.0"]), (1, ["4.0"]), (2, []), (3, ["2.0"]), (4, ["2.0"]), (5, ["4.0"]),
    ]  # fmt: skip
    assert joined.turns["trace"].to_list() == [0, 1, 3, 4, 5]
    assert joined.traces["mine"].to_list() == [None, None, "x", "x", None, None]
    assert spoken(pe.Tables.concat(iter([tables]))) == ALL


def test_what_cannot_be_concatenated_is_an_error(tables: pe.Tables) -> None:
    with pytest.raises(pe.OptionError, match="tables: expected one or more"):
        pe.concat([])
    with pytest.raises(pe.OptionError, match="tables: a column has two types"):
        pe.concat([tables.with_columns(mine=pl.lit("x")), tables.with_columns(mine=pl.lit(1))])


def test_the_length_is_the_number_of_traces(tables: pe.Tables) -> None:
    assert len(tables) == 6
    assert len(tables.filter(pl.col("turns") > 1)) == 3
