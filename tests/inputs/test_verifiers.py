"""Rollouts of verifiers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from tests.builders import write_lines

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}


def rollout(number: int = 0, **fields: object) -> Json:
    completion = [
        {"role": "assistant", "content": None, "tool_calls": [json.dumps(CALL)]},
        {"role": "tool", "content": "seen", "tool_call_id": "c1"},
        {"role": "assistant", "content": f"Done {number}."},
    ]
    return {
        "example_id": 7, "prompt": [{"role": "user", "content": "Go."}], "completion": completion, "reward": number / 2,
        "metrics": {"format": 1, "num_turns": 2.0}, "tool_defs": [{"name": "look", "parameters": {}}], "answer": "x",
    } | fields  # fmt: skip


def test_a_call_may_be_json_in_a_string(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "results.jsonl", rollout(1))
    (tmp_path / "metadata.json").write_text('{"env_id": "maze", "model": "qwen"}', encoding="utf-8")
    pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions("chatml", target="trl"))
    record = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": {"at": 1}}}
    assert record["messages"] == [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "seen", "tool_call_id": "c1", "name": "look"},
        {"role": "assistant", "content": "Done 1."},
    ]
    assert record["tools"] == [{"type": "function", "function": {"name": "look", "parameters": {}}}]
    metadata = {"case_id": "7", "eval_set_id": "maze", "run": None, "score": 0.5, "model_id": "qwen", "turns": 2}
    assert record["metadata"] == metadata


def test_the_reward_is_the_score_and_metrics_stand_beside_it(tmp_path: Path) -> None:
    odd = rollout(1, reward=float("nan"), metrics={"format": "x"})
    traces = pe.read(write_lines(tmp_path / "results.jsonl", rollout(1), odd)).traces
    assert traces["score"].to_list() == [0.5, None]
    assert [metric["evaluator_name"] for metric in traces["metrics"][0]] == ["format", "num_turns"]
    assert traces["dropped"].to_list()[1] == [{"kind": "scores that are no number", "count": 2}]


def test_rollouts_of_an_example_make_pairs(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "results.jsonl", rollout(0), rollout(2), rollout(1))
    report = pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions("dpo", target="trl"))
    assert (report.records, report.dropped) == (1, {"not_selected": 1})


def test_answers_in_a_prompt_are_context(tmp_path: Path) -> None:
    shots = [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4."}]
    asked = [*shots, {"role": "user", "content": "Go."}]
    turns = pe.read(write_lines(tmp_path / "results.jsonl", rollout(prompt=asked))).turns
    assert turns["context"].to_list() == [True, False, False]


def test_a_rollout_that_crashed_has_its_words(tmp_path: Path) -> None:
    """As `state_to_output` of verifiers writes it: the completion is null if nothing was said."""
    chain = {"error": "InfraError", "message": "gone", "error_chain_repr": "I()", "error_chain_str": "InfraError: gone"}
    source = write_lines(tmp_path / "results.jsonl", rollout(completion=None, error=chain, is_truncated=True))
    trace = pe.read(source).traces.row(0, named=True)
    assert (trace["turns"], trace["error"], trace["stop_reason"]) == (0, "InfraError: gone", "length")


def test_prompt_and_completion_may_be_texts(tmp_path: Path) -> None:
    line = rollout(prompt="Go.", completion="Done.", reward=None, metrics=None, tool_defs=None, error="crashed")
    tables = pe.read(write_lines(tmp_path / "results.jsonl", line))
    assert tables.turns["text"].to_list() == ["Done."]
    assert tables.traces.select("score", "error", "user_messages").row(0) == (None, "crashed", 1)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"prompt": 3}, r"\$\.prompt: expected an array of messages"),
        ({"completion": [{"role": "robot"}]}, r"\$\.completion\[0\]\.role: expected one of"),
        ({"reward": []}, r"\$\.reward: expected a number or null"),
    ],
)
def test_what_is_no_rollout_is_named(fields: Json, problem: str, tmp_path: Path) -> None:
    with pytest.raises(pe.BadRecordError, match=r"results\.jsonl:2: " + problem):
        pe.read(write_lines(tmp_path / "results.jsonl", rollout(), rollout(**fields)))


VALID = ("results.jsonl", "".join(json.dumps(line) + "\n" for line in (rollout(), rollout(1))).encode())
