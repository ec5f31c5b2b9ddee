"""The tables `traces` and `turns` hold what the traces hold, column by column."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

import polars_export as pe
from polars_export.execution import read
from polars_export.sources import window
from tests.builders import call, case_result, invocation, result, scored_trace, text, turn, write_document, write_lines

SAMPLE = Path(__file__).parents[1] / "data/results/airline"
USAGE = {"input": 10, "output": 20, "cache_read": 3, "cache_write": 4, "total": 37}
COST = {"input": 0.1, "output": 0.2, "cache_read": 0.0, "cache_write": 0.0, "total": 0.3}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A document of two traces: one with everything in it, one without turns."""
    thinking = {"type": "thinking", "thinking": "Let me see.", "signature": None}
    image = {"type": "image", "source": {"type": "url"}}
    video = {"type": "video", "frames": 3}
    rich = turn(
        "Looking", thinking, " now.", image, video,
        calls=[call("look", {"b": 1, "a": [True, None, "é"]}, "c1"), call("wait", 5, "c2")],
        results=[result("found", "c1"), result("gone", "c2", is_error=True)],
        usage=USAGE, cost=COST, stop_reason="tool_use", error_message="slow",
    )  # fmt: skip
    first = case_result("one", rich, turn("Done.", index=1), scores=[1.0, 0.5], final="Done.")
    first["invocation"] |= {"total_usage": USAGE, "total_cost": COST}
    second = case_result("two", scores=[], verdict="fail")
    second["invocation"]["turns"] = []
    return write_document(tmp_path / "run.json", first, second)


def test_a_row_of_traces_is_a_trace(source: Path) -> None:
    first, second = pe.read_traces(source).to_dicts()
    metrics = [{"evaluator_name": "reward", "value": value, "threshold": 0.5, "details": None} for value in (1.0, 0.5)]
    assert first == {
        "trace": 0, "input": "eval-results", "source": str(source), "position": 0,
        "eval_set_id": "set", "case_id": "one",
        "run": None, "verdict": "pass", "tools": None, "error": None, "extra": None, "dropped": [],
        "system_messages": 0, "user_messages": 0, "closing": [],
        "score": 0.75, "metrics": metrics, "provider": "openai", "model_id": "model", "thinking_level": "off",
        "stop_reason": "stop", "final_response": "Done.", "turns": 2, "duration_seconds": 2.0,
        **{f"{kind}_tokens": count for kind, count in USAGE.items()},
        **{f"{kind}_cost": amount for kind, amount in COST.items()},
    }  # fmt: skip
    assert (second["trace"], second["position"], second["turns"]) == (1, 1, 0)
    assert (second["score"], second["metrics"], second["final_response"]) == (0.0, [], None)
    assert second["verdict"] == "fail"


def test_a_row_of_turns_is_a_turn(source: Path) -> None:
    first, second = pe.read_turns(source).to_dicts()
    assert first == {
        "trace": 0, "turn": 0, "turn_index": 0, "context": False, "preceding": [],
        "text": "Looking now.", "reasoning": "Let me see.",
        "tool_calls": [
            {"id": "c1", "name": "look", "arguments": '{"b":1,"a":[true,null,"é"]}'},
            {"id": "c2", "name": "wait", "arguments": "5"},
        ],
        "tool_results": [
            {"tool_call_id": "c1", "name": "look", "text": "found", "is_error": False},
            {"tool_call_id": "c2", "name": "wait", "text": "gone", "is_error": True},
        ],
        "tool_result_count": 2, "orphan_results": 0, "moved_results": 0,
        "thinking_blocks": 1, "image_blocks": 1, "extension_blocks": 0, "unknown_blocks": 1,
        "provider": "openai", "model_id": "turn-model", "stop_reason": "tool_use", "error_message": "slow",
        "timestamp": 1_715_770_000, "duration_seconds": 1.5,
        **{f"{kind}_tokens": count for kind, count in USAGE.items()},
        **{f"{kind}_cost": amount for kind, amount in COST.items()},
    }  # fmt: skip
    assert (second["trace"], second["turn"], second["turn_index"]) == (0, 1, 1)
    assert (second["text"], second["reasoning"], second["tool_calls"]) == ("Done.", None, [])


def test_the_tables_have_the_documented_columns(source: Path) -> None:
    traces = {column.name: column.dtype for column in pe.TRACES}
    turns = {column.name: column.dtype for column in pe.TURNS}
    assert dict(pe.read_traces(source).schema) == traces
    assert dict(pe.read_turns(source).schema) == turns
    assert all(column.doc for column in (*pe.TRACES, *pe.TURNS))


def test_a_document_without_cases_gives_empty_tables_of_the_same_columns(tmp_path: Path) -> None:
    empty = write_document(tmp_path / "run.json")
    assert pe.read_traces(empty).shape == (0, len(pe.TRACES))
    assert pe.read_turns(empty).shape == (0, len(pe.TURNS))


def test_lines_say_their_number_and_eval_set(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "runs.jsonl", scored_trace("a", score=0.3), case_result("b", eval_set_id="mine"))
    traces = pe.read_traces(source)
    assert traces["position"].to_list() == [1, 2]
    assert traces["eval_set_id"].to_list() == [None, "mine"]
    assert traces["score"].to_list() == [0.3, 1.0]
    assert traces["verdict"].to_list() == [None, "pass"]


def test_what_the_upstream_may_leave_out_is_null(tmp_path: Path) -> None:
    bare = {"turn_index": 0, "assistant_message": {"content": [text("Hi.")]}, "tool_calls": []}
    trace = {"case_id": "a", "invocation": {"turns": [bare], "model": {"model_id": "m"}}, "score": 1}
    source = write_lines(tmp_path / "runs.jsonl", trace)
    assert pe.read_traces(source).select("provider", "total_tokens", "duration_seconds").row(0) == (None, None, None)
    assert pe.read_turns(source).select("stop_reason", "timestamp", "input_cost").row(0) == (None, None, None)


def test_the_sample_has_its_turns_and_results() -> None:
    traces, turns = pe.read_traces(SAMPLE), pe.read_turns(SAMPLE)
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(SAMPLE.iterdir())]
    cases = [case for document in documents for case in document["case_results"]]
    assert traces["case_id"].to_list() == [case["case_id"] for case in cases]
    assert traces["turns"].to_list() == [len(case["invocation"]["turns"]) for case in cases]
    assert turns.height == traces["turns"].sum() == sum(len(case["invocation"]["turns"]) for case in cases)
    counted = turns.group_by("trace", maintain_order=True).agg(pl.col("tool_results").list.len().sum())
    expected = [sum(len(turn["tool_results"]) for turn in case["invocation"]["turns"]) for case in cases]
    assert counted["tool_results"].to_list() == expected


def test_eval_sets_bring_the_prompts() -> None:
    store = SAMPLE.parents[1]
    (case,) = [c for c in json.loads((store / "sets/airline.json").read_text())["cases"] if c["id"] == "airline-000"]
    for traces, turns in (
        (pe.read_traces(store), pe.read_turns(store)),
        (pe.read_traces(SAMPLE, prompts=store / "sets"), pe.read_turns(SAMPLE, prompts=store / "sets")),
    ):
        assert turns["preceding"][0].to_list() == [
            {"role": "system", "content": case["system_prompt"], "name": None},
            *({"role": "user", "content": message, "name": None} for message in case["user_messages"]),
        ]
        assert turns.filter(pl.col("turn") > 0)["preceding"].list.len().sum() == 0
        assert turns.filter(pl.col("turn") == 0)["preceding"].list.len().min() == 2
        assert traces.select(pl.col("system_messages", "user_messages").min()).row(0) == (1, 1)
        assert traces["closing"].list.len().sum() == 0
    assert pe.read_traces(SAMPLE)["system_messages"].sum() == 0


def test_batches_are_arrow_tables_that_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", 100_000)
    monkeypatch.setattr(read, "_BATCH_BYTES", 50_000)
    sources = sorted(SAMPLE.iterdir())[:2]
    batches = list(pe.iter_batches(sources))
    assert len(batches) > 20
    assert all(isinstance(table, pa.Table) for batch in batches for table in (batch.traces, batch.turns))
    assert pl.concat([pl.DataFrame(batch.traces) for batch in batches]).equals(pe.read_traces(sources))
    assert pl.concat([pl.DataFrame(batch.turns) for batch in batches]).equals(pe.read_turns(sources))


def test_several_sources_are_read_in_the_order_given(tmp_path: Path) -> None:
    first = write_document(tmp_path / "z.json", case_result("1"), case_result("2"), eval_set_id="z")
    second = write_lines(tmp_path / "a.jsonl", case_result("3"))
    assert pe.read_traces([first, str(second), first])["case_id"].to_list() == ["1", "2", "3", "1", "2"]
    assert pe.read_traces(path for path in (first, second))["trace"].to_list() == [0, 1, 2]


def test_an_invocation_without_turns_keeps_the_turns_of_the_others_apart(tmp_path: Path) -> None:
    empty = {"case_id": "b", "invocation": invocation([], final="x"), "score": 1}
    source = write_lines(tmp_path / "r.jsonl", scored_trace("a"), empty, scored_trace("c", turn("c1"), turn("c2")))
    assert pe.read_turns(source)["trace"].to_list() == [0, 2, 2]
    assert pe.read_turns(source)["turn"].to_list() == [0, 0, 1]
