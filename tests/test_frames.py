"""Frames of a user's own become tables: checked, completed, put in step, and counted anew."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

import polars_export as pe
from polars_export.tables.frames import conform_tables

STORE = Path(__file__).parents[1] / "data"
TRACES = pl.DataFrame({"trace": [1, 2], "case_id": ["a", "b"]})
TURNS = pl.DataFrame({"trace": [1, 2, 2], "text": ["x", "y", "z"]})


@pytest.fixture(scope="module")
def store() -> pe.Tables:
    return pe.read(STORE)


def equal(first: pe.Tables, second: pe.Tables) -> bool:
    return first.traces.equals(second.traces) and first.turns.equals(second.turns)


def test_what_was_read_stays_as_it_is(store: pe.Tables) -> None:
    made = pe.tables(store.traces, store.turns)
    assert equal(made, store)
    assert made.traces.schema == store.traces.schema
    assert made.turns.schema == store.turns.schema


def test_lazy_frames_and_arrow_tables_are_frames_too(store: pe.Tables) -> None:
    assert equal(pe.tables(store.traces.lazy(), store.turns.to_arrow()), store)
    assert equal(pe.tables(store.traces.to_arrow(compat_level=pl.CompatLevel.oldest()), store.turns.lazy()), store)


def test_turns_in_any_order_are_sorted_into_step(store: pe.Tables) -> None:
    shuffled = store.turns.sample(fraction=1.0, shuffle=True, seed=3)
    assert equal(pe.tables(store.traces, shuffled), store)
    backwards = pe.tables(store.traces.reverse(), store.turns)
    assert backwards.traces["trace"].to_list() == store.traces["trace"].reverse().to_list()
    assert equal(backwards.sort("trace"), store)


def test_what_is_counted_is_counted_anew(store: pe.Tables) -> None:
    wrong = store.traces.with_columns(pl.col("turns", "system_messages", "user_messages") * 0 + 77)
    assert equal(pe.tables(wrong, store.turns.with_columns(tool_result_count=pl.lit("?"))), store)
    counted = ("turns", "system_messages", "user_messages")
    assert equal(pe.tables(store.traces.drop(counted), store.turns.drop("tool_result_count")), store)
    fewer = pe.tables(store.traces, store.turns.filter(pl.col("turn") > 0))
    assert fewer.traces["user_messages"].sum() == 0
    assert (fewer.traces["turns"] + 1).equals(store.traces["turns"])
    assert fewer.turns.filter(pl.col("trace") == 0)["turn"].to_list() == list(range(fewer.traces["turns"][0]))


def test_missing_columns_are_filled() -> None:
    made = pe.tables(TRACES, TURNS.with_columns(reasoning=pl.Series([None, "hm", None])))
    assert made.traces.columns == [column.name for column in pe.TRACES]
    assert made.turns.columns == [column.name for column in pe.TURNS]
    first, second, _ = made.turns.to_dicts()
    filled: dict[str, Any] = {
        "context": False,
        "preceding": [],
        "tool_calls": [],
        "tool_results": [],
        "image_blocks": 0,
    }
    assert first | filled == first
    assert [first["thinking_blocks"], second["thinking_blocks"]] == [0, 1]
    trace = made.traces.row(1, named=True)
    filled = {"turns": 2, "closing": [], "metrics": [], "score": None, "tools": None, "user_messages": 0}
    assert trace | filled == trace


def test_nulls_that_the_tables_do_not_have_are_filled() -> None:
    calls = [{"id": None, "name": "f", "arguments": None}]
    results = [{"tool_call_id": "1", "text": None}]
    turns = TURNS.with_columns(
        text=pl.Series([None, "y", "z"]), tool_calls=pl.Series([calls, None, []]), orphan_results=pl.lit(None),
        tool_results=pl.Series([results, [], None]), context=pl.Series([None, True, None]),
    )  # fmt: skip
    made = pe.tables(TRACES, turns).turns
    assert made["text"].to_list() == ["", "y", "z"]
    assert made["tool_calls"].to_list() == [[{"id": None, "name": "f", "arguments": "{}"}], [], []]
    filled = {"tool_call_id": "1", "name": None, "text": "", "is_error": False}
    assert made["tool_results"].to_list() == [[filled], [], []]
    assert made.select(pl.col("context").sum(), pl.col("orphan_results", "tool_result_count").sum()).row(0) == (1, 0, 1)


def test_a_score_that_is_missing_is_the_mean_of_the_metrics() -> None:
    metrics = pl.Series([[{"value": 0.5}, {"value": 1.0}], []])
    assert pe.tables(TRACES.with_columns(metrics=metrics), TURNS).traces["score"].to_list() == [0.75, None]
    scored = TRACES.with_columns(metrics=metrics, score=pl.lit(7))
    assert pe.tables(scored, TURNS).traces["score"].to_list() == [7.0, 7.0]


def test_types_are_cast_where_nothing_is_lost() -> None:
    traces = TRACES.with_columns(
        pl.col("trace").cast(pl.Float64), pl.col("case_id").cast(pl.Categorical), score=pl.lit(1, pl.Int8)
    )
    turns = TURNS.with_columns(
        pl.col("trace").cast(pl.UInt8),
        preceding=pl.Series([[{"content": "hi", "role": "user"}]] * 3).list.to_array(1),
    )
    made = pe.tables(traces, turns)
    assert made.traces.select("trace", "case_id", "score", "user_messages").rows() == [
        (1, "a", 1.0, 1),
        (2, "b", 1.0, 2),
    ]
    assert made.turns["preceding"][0].to_list() == [{"role": "user", "content": "hi", "name": None}]


def test_columns_of_ones_own_are_kept() -> None:
    made = pe.tables(TRACES.with_columns(difficulty=pl.Series([3, 1])), TURNS.with_columns(seen=pl.lit(value=True)))
    assert made.sort("difficulty").traces["case_id"].to_list() == ["b", "a"]
    assert made.turns["seen"].all()


def test_json_is_written_in_compact_form() -> None:
    calls = [[{"id": "1", "name": "f", "arguments": '{"b": [1, 2],\n "a": "é"}'}], [], []]
    schema = '{"type": "function", "function": {"name": "f"}}'
    made = pe.tables(
        TRACES.with_columns(tools=pl.Series([[schema], None]), extra=pl.Series(['{ "k": 1 }', None])),
        TURNS.with_columns(tool_calls=pl.Series(calls)),
    )
    assert made.turns["tool_calls"][0][0]["arguments"] == '{"b":[1,2],"a":"é"}'
    assert made.traces["tools"].to_list() == [['{"type":"function","function":{"name":"f"}}'], None]
    assert made.traces["extra"].to_list() == ['{"k":1}', None]


def test_empty_frames_are_tables_without_traces() -> None:
    made = pe.tables(TRACES.clear(), TURNS.clear())
    assert (len(made), made.turns.height) == (0, 0)
    assert pe.tables(TRACES, TURNS.clear()).traces["turns"].to_list() == [0, 0]


def messages(role: str | None) -> pl.Series:
    return pl.Series(
        [[{"role": role, "content": "x"}], [], []], dtype=pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
    )


def calls(name: str | None, arguments: str) -> pl.Series:
    kind = pl.Struct({"id": pl.String, "name": pl.String, "arguments": pl.String})
    return pl.Series([[{"id": "1", "name": name, "arguments": arguments}], [], []], dtype=pl.List(kind))


@pytest.mark.parametrize(
    ("traces", "turns", "message"),
    [
        (TRACES.drop("case_id"), TURNS, "traces: column case_id is missing; expected String"),
        (TRACES.drop("trace"), TURNS, "traces: column trace is missing; expected UInt64"),
        (TRACES, TURNS.drop("text"), "turns: column text is missing; expected String"),
        (TRACES, TURNS.drop("trace"), "turns: column trace is missing; expected UInt64"),
        (TRACES.with_columns(case_id=pl.lit(None)), TURNS, "traces: column case_id: expected a value in each row"),
        (TRACES.with_columns(case_id=pl.lit(5)), TURNS, "traces: column case_id: expected String, found Int32"),
        (TRACES.with_columns(pl.col("trace") * -1), TURNS, "traces: column trace: expected UInt64, found Int64 with"),
        (TRACES.with_columns(score=pl.lit("1")), TURNS, "traces: column score: expected Float64, found String"),
        (TRACES.with_columns(score=pl.lit(float("nan"))), TURNS, "traces: column score: expected a finite number"),
        (TRACES.with_columns(verdict=pl.lit("ok")), TURNS, "traces: column verdict: expected one of pass"),
        (TRACES.with_columns(extra=pl.lit("[]")), TURNS, "traces: column extra: expected a JSON object"),
        (TRACES.with_columns(tools=pl.Series([["{"], []])), TURNS, "traces: column tools: expected a JSON object"),
        (pl.concat([TRACES, TRACES]), TURNS, "traces: column trace: expected each number once, found 1, 2"),
        (TRACES, TURNS.with_columns(trace=pl.lit(9)), "turns: column trace: no row of traces has the number 9"),
        (TRACES, TURNS.with_columns(turn=pl.lit(0)), "turns: column turn: trace 2 has turn 0 twice"),
        (TRACES, TURNS.with_columns(turn=pl.lit(None)), "turns: column turn: expected a number in each row"),
        (TRACES, TURNS.with_columns(turn_index=pl.lit(1.5)), "turns: column turn_index: expected Int64, found"),
        (TRACES, TURNS.with_columns(preceding=messages("tool")), "turns: column preceding.role: expected one of"),
        (TRACES, TURNS.with_columns(preceding=messages(None)), "turns: column preceding: expected a role"),
        (TRACES, TURNS.with_columns(tool_calls=calls(None, "{}")), "turns: column tool_calls: expected a name"),
        (TRACES, TURNS.with_columns(tool_calls=calls("f", "{a}")), "turns: column tool_calls.arguments: expected JSON"),
        (TRACES, TURNS.with_columns(tool_calls=pl.lit("f")), "turns: column tool_calls: expected List(Struct"),
        (
            TRACES,
            TURNS.with_columns(tool_calls=pl.Series([[{"name": "f", "type": "function"}], [], []])),
            "turns: column tool_calls: expected List(Struct",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(traces: pl.DataFrame, turns: pl.DataFrame, message: str) -> None:
    with pytest.raises(pe.SourceError, match=re.escape(message)):
        pe.tables(traces, turns)


@pytest.mark.parametrize("given", [None, [], "traces.parquet", {"trace": [1]}])
def test_what_is_no_frame_is_an_error(given: Any) -> None:  # noqa: ANN401 - of a wrong type
    with pytest.raises(pe.OptionError, match="traces: expected a Polars frame or a pyarrow table"):
        pe.tables(given, TURNS)
    with pytest.raises(pe.OptionError, match="turns: expected a Polars frame or a pyarrow table"):
        pe.tables(pa.table({"trace": [1], "case_id": ["a"]}), given)


def test_tables_that_a_user_took_out_of_step_are_refused(store: pe.Tables) -> None:
    assert equal(conform_tables(store), store)
    with pytest.raises(pe.SourceError, match="turns: the turns are not in the order of the traces"):
        conform_tables(pe.Tables(store.traces, store.turns.reverse()))
    with pytest.raises(pe.SourceError, match="turns: column trace: no row of traces has the number 0"):
        conform_tables(pe.Tables(store.traces[1:], store.turns))
