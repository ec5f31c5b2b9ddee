"""Rollouts of verifiers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.sources import line_elements, segments
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


def node(role: str, content: str | None, parent: int | None, *, sampled: bool = False, **fields: object) -> Json:
    return {"parent": parent, "message": {"role": role, "content": content} | fields, "sampled": sampled}


def agent(number: int, **fields: object) -> Json:
    call = {"id": "c1", "name": "look", "arguments": '{"at": 1}', "type": "function"}
    nodes = [
        node("system", "Be kind.", None),
        node("user", "Go.", 0),
        node("assistant", "Made up.", 1),
        node("assistant", None, 2, sampled=True, tool_calls=[call]),
        node("tool", "seen", 3, tool_call_id="c1"),
        node("assistant", "Abandoned.", 4, sampled=True),
        node("assistant", f"Done {number}.", 4, sampled=True),
    ]
    rewards = {"solved": {"score": number / 2, "weight": 2.0}, "style": {"score": 0.25}}
    return {
        "id": f"run-{number}", "nodes": nodes, "rewards": rewards, "metrics": {"turns": 2}, "errors": [],
        "tools": [{"name": "look", "parameters": {}}], "calls": [{"node": 3, "model": "qwen"}],
    } | fields  # fmt: skip


def episode(*traces: Json, key: str = "t1") -> Json:
    return {"id": "e", "env": {"id": "maze"}, "task": {"type": "T", "key": key, "data": {}}, "traces": list(traces)}


def test_an_episode_has_a_trace_for_each_of_its_agents(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "traces.jsonl", episode(agent(0), agent(1)), episode(agent(2), key="t2"))
    tables = pe.read(source)
    traces = tables.traces
    assert traces.select("case_id", "run", "eval_set_id", "model_id").rows() == [
        ("t1", "run-0", "maze", "qwen"), ("t1", "run-1", "maze", "qwen"), ("t2", "run-2", "maze", "qwen"),
    ]  # fmt: skip
    assert traces["score"].to_list() == [0.25, 1.25, 2.25]
    assert traces["position"].to_list() == [1, 1, 2]
    assert tables.turns["text"].to_list()[:3] == ["Made up.", "", "Done 0."]
    assert tables.turns["context"].to_list()[:3] == [True, False, False]
    assert traces["dropped"].to_list()[0] == [{"kind": "messages of other branches", "count": 1}]


@pytest.mark.parametrize("workers", [1, 2])
def test_pairs_find_their_traces_in_the_lines_again(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polars_export.execution.conductor._LEAST_FOR_PROCESSES", 0)
    monkeypatch.setattr(line_elements, "_UNIT_BYTES", 3_000)
    monkeypatch.setattr(segments, "PART_BYTES", 3_000)
    lines = [episode(agent(0), agent(number % 3 + 1), key=f"t{number}") for number in range(12)]
    source = write_lines(tmp_path / "traces.jsonl", *lines)
    report = pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions("dpo", target="trl", workers=workers))
    assert (report.traces_read, report.records) == (24, 12)
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    for number, record in enumerate(records):
        assert record["metadata"]["case_id"] == f"t{number}"
        assert [record[side][-1]["content"] for side in ("chosen", "rejected")] == [
            f"Done {number % 3 + 1}.",
            "Done 0.",
        ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (episode(agent(0, nodes=3)), r"\$\.traces\[\*\]\.nodes: expected an array of nodes"),
        (episode(agent(0, nodes=[node("user", "x", 5)])), r"nodes\[0\]\.parent: expected the number of a node before"),
        (episode() | {"traces": 3}, r"\$: expected a line with an array `traces`"),
    ],
)
def test_what_is_no_episode_is_named(line: Json, problem: str, tmp_path: Path) -> None:
    with pytest.raises(pe.BadRecordError, match=r"traces\.jsonl:2: .*" + problem):
        pe.read(write_lines(tmp_path / "traces.jsonl", episode(agent(0)), line))


VALID = ("results.jsonl", "".join(json.dumps(line) + "\n" for line in (rollout(), rollout(1))).encode())
VALID_EPISODES = (
    "traces.jsonl",
    "".join(json.dumps(line) + "\n" for line in (episode(agent(0), agent(1)),) * 2).encode(),
)
