"""Episodes of verifiers 0.4 (`verifiers/v1/episode.py` and `trace.py` say what they are): several traces in a line."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import polars_export as pe
from polars_export.inputs.verifiers.branches import branches_of
from polars_export.sources import segments
from tests.builders import write_lines

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]


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
    assert traces["dropped"].to_list()[0] == [{"kind": "messages of abandoned branches", "count": 1}]


@pytest.mark.parametrize("workers", [1, 2])
def test_pairs_find_their_traces_in_the_lines_again(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polars_export.execution.conductor._LEAST_FOR_PROCESSES", 0)
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
        (episode(agent(0, nodes=3)), r"\$\.traces\[0\]\.nodes: expected an array, found the number 3"),
        (
            episode(agent(0), agent(0, nodes=[{"message": 3}])),
            r"\$\.traces\[1\]\.nodes\[0\]\.message: expected a message",
        ),
        (episode(agent(0, nodes=[node("robot", "x", None)])), r"nodes\[0\]\.message\.role: expected one of"),
        (episode(agent(0, nodes=[node("user", "x", 5)])), r"nodes\[0\]\.parent: expected the number of a node before"),
        (episode() | {"traces": 3}, r"\$\.traces: expected an array"),
    ],
)
def test_what_is_no_episode_is_named(line: Json, problem: str, tmp_path: Path) -> None:
    with pytest.raises(pe.BadRecordError, match=r"traces\.jsonl:2: .*" + problem):
        pe.read(write_lines(tmp_path / "traces.jsonl", episode(agent(0)), line))


def compacted(number: int, **fields: object) -> Json:
    """Return a trace whose context was compacted: the prompt goes on with a summary in place of what was said."""
    nodes = [
        node("system", "Be kind.", None),
        node("user", "Go.", 0),
        node("assistant", "One.", 1, sampled=True),
        node("user", "Summary.", 0),
        node("assistant", "One.", 3),
        node("user", "On.", 4),
        node("assistant", f"Two {number}.", 5, sampled=True),
    ]
    calls = [{"node": 2, "model": "small"}, {"node": 6, "model": "large", "finish_reason": "length"}]
    return agent(number, nodes=nodes, calls=calls, **fields)


def test_each_branch_is_a_trace(tmp_path: Path) -> None:
    grouped = episode(compacted(1)) | {"group": {"id": "g"}}
    tables = pe.read(write_lines(tmp_path / "traces.jsonl", grouped))
    assert tables.traces.select("run", "model_id", "stop_reason", "score").rows() == [
        ("g/run-1/0", "small", None, 1.25), ("g/run-1/1", "large", "length", 1.25),
    ]  # fmt: skip
    assert tables.turns["text"].to_list() == ["One.", "One.", "Two 1."]
    assert tables.turns["context"].to_list() == [False, True, False]
    assert tables.traces["dropped"].to_list() == [[], []]


@pytest.mark.parametrize(
    ("parents", "sampled", "branches", "abandoned"),
    [
        ([], [], [], 0),
        ([None, 0, 0], [0, 1, 1], [([0, 2], {2})], 1),
        ([None, 0, 0, 1], [0, 1, 1, 0], [([0, 1, 3], {1})], 1),  # the first answer was gone on with
        ([None, 0, 1, 1, 2, 3], [0, 1, 0, 0, 1, 1], [([0, 1, 2, 4], {4}), ([0, 1, 3, 5], {1, 5})], 0),
        ([None, None], [0, 0], [([0], set()), ([1], set())], 0),
    ],
)
def test_branches_are_paths_to_leaves_and_each_answer_is_learned_once(
    parents: list[int | None], sampled: list[int], branches: list[tuple[list[int], set[int]]], abandoned: int
) -> None:
    found, in_none = branches_of(parents, [bool(one) for one in sampled], "$")
    assert [(list(branch.nodes), set(branch.own)) for branch in found] == branches
    assert in_none == abandoned


def test_a_summary_that_was_not_gone_on_with_is_abandoned(tmp_path: Path) -> None:
    """`compaction_attempt` and `compaction` link nodes as verifiers 0.4.0 has them in `Trace.branches`."""
    attempt = [{"node": 2, "type": "compaction_attempt"}]
    nodes = [
        node("system", "Be kind.", None) | {"tools": [{"name": "own", "description": "", "parameters": {}}]},
        node("user", "Go.", 0),
        node("assistant", "One.", 1, sampled=True),
        node("user", "Summarise.", 2),
        node("assistant", "Good.", 3, sampled=True) | {"semantic_parents": attempt},
        node("assistant", "Bad.", 3, sampled=True) | {"semantic_parents": attempt},
        node("user", "Good.", 0),
        node("assistant", "Two.", 6, sampled=True) | {"semantic_parents": [{"node": 4, "type": "compaction"}]},
    ]
    tables = pe.read(write_lines(tmp_path / "traces.jsonl", episode(agent(0, nodes=nodes))))
    assert tables.turns["text"].to_list() == ["One.", "Good.", "Two."]
    assert tables.traces["dropped"].to_list()[0] == [{"kind": "messages of abandoned branches", "count": 1}]
    assert [json.loads(tool)["function"]["name"] for tools in tables.traces["tools"] for tool in tools] == ["own"] * 2


def test_an_episode_without_traces_is_counted(tmp_path: Path) -> None:
    failed = episode() | {"errors": [{"type": "TaskError", "message": "no task"}]}
    source = write_lines(tmp_path / "traces.jsonl", episode(agent(0), agent(1, nodes=[])), failed)
    traces = pe.read(source).traces
    assert traces.select("turns", "error").rows() == [(3, None), (0, None), (0, "no task")]
    report = pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions("chatml", target="trl", missing_prompt="keep"))
    assert (report.traces_read, report.exported) == (3, 1)
    assert sum(report.dropped.values()) == 2


def test_errors_of_attempts_before_the_last_are_none_of_a_trace_that_is_ok(tmp_path: Path) -> None:
    errors = [{"type": "ProviderError", "message": "busy"}]
    source = write_lines(tmp_path / "traces.jsonl", episode(agent(0, errors=errors, ok=True), agent(1, errors=errors)))
    assert pe.read(source).traces["error"].to_list() == [None, "busy"]


@pytest.mark.parametrize("record", ["chatml", "dpo"])
def test_one_bad_line_costs_one_trace(record: str, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "traces.jsonl", episode(agent(0), agent(1)), episode(agent(0), agent(1), key="t2"))
    good = source.read_text(encoding="utf-8").splitlines()
    source.write_text("\n".join([good[0], good[0][:300], json.dumps(episode(agent(0, rewards={"a": []}))), *good[1:]]))
    options = pe.ExportOptions(record, target="trl", on_error="skip")
    report = pe.export(source, tmp_path / "out.jsonl", options)
    assert report.dropped["invalid"] == 1
    assert report.traces_read == 6
    assert report.exported == 5 if record == "chatml" else 4
    assert report.traces_read == report.exported + sum(report.dropped.values())


@pytest.mark.parametrize("depth", range(800, 1000, 20))
def test_what_is_too_deep_for_one_decoder_takes_no_other_line_along(depth: int, tmp_path: Path) -> None:
    """Up to Python 3.11 records are decoded from less deep than columns that decide: a line may be good only there."""
    call = {"id": "c1", "name": "look", "arguments": "DEEP", "type": "function"}
    nodes = [node("user", "Go.", None), node("assistant", "x", 0, sampled=True, tool_calls=[call])]
    deep = json.dumps(episode(agent(3, nodes=nodes), agent(4), key="deep"))
    source = write_lines(tmp_path / "traces.jsonl", episode(agent(0), agent(1)), episode(agent(2)))
    with source.open("a", encoding="utf-8") as file:
        file.write(deep.replace('"DEEP"', '{"a":' * depth + "1" + "}" * depth) + "\n")
    report = pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions("dpo", target="trl", on_error="skip"))
    assert report.records == 1
    assert report.traces_read - report.dropped.get("invalid", 0) in {3, 5}
    assert report.traces_read == report.exported + sum(report.dropped.values())


@pytest.mark.parametrize("record", ["chatml", "dpo"])
def test_compressed_episodes_are_read_too(record: str, tmp_path: Path) -> None:
    source = write_lines(
        tmp_path / "traces.jsonl", *(episode(agent(0), agent(2), compacted(1), key=f"t{n}") for n in range(3))
    )
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(source.read_bytes()))
    made = []
    for path in (source, packed):
        output = tmp_path / "out.jsonl"
        pe.export(path, output, pe.ExportOptions(record, target="trl", overwrite=True))
        made.append(output.read_bytes())
    assert made[0] == made[1] != b""


def test_each_message_of_an_episode_is_somewhere(tmp_path: Path) -> None:
    runs = [agent(0), compacted(1), agent(2, nodes=[node("user", "Go.", None)])]
    tables = pe.read(write_lines(tmp_path / "traces.jsonl", episode(*runs)))
    answers = sum(one["sampled"] for run in runs for one in run["nodes"])
    abandoned = tables.traces["dropped"].explode().struct.field("count").sum()
    assert tables.turns.filter(~pl.col("context")).height + abandoned == answers
    assert int(tables.traces["user_messages"].sum()) == 1 + (1 + 2) + 1


VALID_EPISODES = (
    "traces.jsonl",
    "".join(json.dumps(line) + "\n" for line in (episode(agent(0), agent(1)),) * 2).encode(),
)
