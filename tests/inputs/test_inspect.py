"""Logs of Inspect; that they are read as its own reader reads them is proved in the acceptance suite."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.inputs.inspect.scores import metrics_of_scores
from polars_export.sources import segments, zip_members
from tests.inputs.archives import DEFLATED, STORED, ZSTD, archive

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

Json = dict[str, Any]

LONG = "A description " * 20
TOOL = {"name": "look", "description": "attachment://d1", "parameters": {"type": "object", "properties": {}}}
EVENTS: list[Json] = [
    {"event": "sample_init", "sample": {"tools": [{"parameters": 1}]}},
    {"event": "model", "tools": []},
    {"event": "model", "tools": [TOOL], "output": {"x": "}, {"}},
    {"event": "state", "changes": [{"tools": [{"name": "other"}]}]},
]
HEADER: Json = {"version": 2, "status": "success", "eval": {"task": "t", "eval_id": "log", "model": "openai/m"}}


def sample(number: int = 0, **fields: object) -> Json:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Example?", "source": "input"},
        {"role": "assistant", "content": "Example.", "source": "input"},
        {"role": "user", "content": f"Question {number}?", "source": "input"},
        {
            "role": "assistant",
            "content": [{"type": "reasoning", "reasoning": "Hm."}, {"type": "text", "text": "I look."}],
            "tool_calls": [{"id": "c1", "function": "look", "arguments": {"at": 1}}],
        },
        {"role": "tool", "content": "", "tool_call_id": "c1", "function": "look", "error": {"message": "not found"}},
        {"role": "assistant", "content": "attachment://d1"},
    ]
    return {
        "id": f"s/{number}", "epoch": 2, "input": "x", "messages": messages, "scores": {"match": {"value": "C"}},
        "attachments": {"d1": LONG}, "events": EVENTS,
    } | fields  # fmt: skip


def members(*samples: Json, header: Json | None = None) -> list[tuple[str, bytes]]:
    parts = [("_journal/start.json", b"{}")]
    parts += [(f"samples/{each['id']}_epoch_{each['epoch']}.json", json.dumps(each).encode()) for each in samples]
    return [*parts, ("summaries.json", b"[]"), ("header.json", json.dumps(header or HEADER).encode())]


def write(path: Path, parts: Sequence[tuple[str, bytes]], method: int = DEFLATED, *, flags: int = 0) -> Path:
    path.write_bytes(archive(parts, method, flags=flags))
    return path


def exported(source: Path, format_: str = "chatml", **options: Any) -> list[Json]:  # noqa: ANN401 - options
    output = source.with_suffix(".jsonl")
    pe.export(source, output, pe.ExportOptions(format_, target="trl", **options))
    return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("method", [STORED, DEFLATED, ZSTD])
@pytest.mark.parametrize("most_held", [64 << 20, 10])
def test_a_sample_is_a_trace(method: int, most_held: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_members, "_MOST_HELD", most_held)  # a larger one is pruned while it is read
    (record,) = exported(write(tmp_path / "x.eval", members(sample()), method))
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": {"at": 1}}}
    assert record["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Example?"},
        {"role": "assistant", "content": "Example."},
        {"role": "user", "content": "Question 0?"},
        {"role": "assistant", "content": "I look.", "reasoning_content": "Hm.", "tool_calls": [call]},
        {"role": "tool", "content": "not found", "tool_call_id": "c1", "name": "look"},
        {"role": "assistant", "content": LONG},
    ]
    assert record["tools"] == [{"type": "function", "function": TOOL | {"description": LONG}}]
    metadata = {"case_id": "s/0", "eval_set_id": "t", "run": "log/2", "score": 1.0, "model_id": "openai/m", "turns": 3}
    assert record["metadata"] == metadata


def test_examples_among_the_input_are_context(tmp_path: Path) -> None:
    turns = pe.read(write(tmp_path / "x.eval", members(sample()))).turns
    assert turns["context"].to_list() == [True, False, False]
    assert [result["is_error"] for results in turns["tool_results"] for result in results] == [True]


def test_a_document_is_the_same_log(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps(HEADER | {"samples": [sample(0), sample(1)]}), encoding="utf-8")
    columns = ["case_id", "run", "eval_set_id", "model_id", "score", "tools", "turns", "user_messages"]
    document = pe.read(path).traces.select(columns)
    assert document.equals(pe.read(write(tmp_path / "x.eval", members(sample(0), sample(1)))).traces.select(columns))


@pytest.mark.parametrize("workers", [1, 2])
def test_pairs_find_their_members_again(workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polars_export.execution.conductor._LEAST_FOR_PROCESSES", 0)
    monkeypatch.setattr(segments, "PART_BYTES", 1_000)
    runs = []
    for number in range(8):
        for epoch, value in ((1, "I"), (2, "C")):
            run = sample(number, epoch=epoch, scores={"match": {"value": value}})
            run["messages"][-1]["content"] = f"Answer {number} {epoch}."
            runs.append(run)
    records = exported(write(tmp_path / "x.eval", members(*runs)), "dpo", workers=workers)
    assert [record["metadata"]["case_id"] for record in records] == [f"s/{number}" for number in range(8)]
    last = [[record[side][-1]["content"] for side in ("chosen", "rejected")] for record in records]
    assert last == [[f"Answer {number} 2.", f"Answer {number} 1."] for number in range(8)]


def test_of_members_with_one_name_the_last_counts(tmp_path: Path) -> None:
    parts = members(sample(0), sample(1))
    again = ("samples/s/0_epoch_2.json", json.dumps(sample(0, scores={"match": {"value": "P"}})).encode())
    traces = pe.read(write(tmp_path / "x.eval", [*parts, again])).traces
    assert traces.select("case_id", "score").rows() == [("s/1", 1.0), ("s/0", 0.5)]


def test_a_log_that_was_not_finished_has_its_start(tmp_path: Path) -> None:
    start = json.dumps({"version": 2, "eval": {"task": "t", "model": "m"}}).encode()
    parts = [("_journal/start.json", start), ("samples/1_epoch_1.json", json.dumps(sample()).encode())]
    trace = pe.read(write(tmp_path / "old.eval", parts)).traces.row(0, named=True)
    assert (trace["eval_set_id"], trace["run"], trace["model_id"]) == ("t", "old/2", "m")


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"error": {"message": "crashed", "traceback": "…"}}, "success", "crashed"),
        ({"scores": None}, "cancelled", "the log's status is cancelled"),
        ({}, "error", None),
    ],
)
def test_how_a_run_crashed(fields: Json, status: str, error: str | None, tmp_path: Path) -> None:
    parts = members(sample(**fields), header=HEADER | {"status": status})
    assert pe.read(write(tmp_path / "x.eval", parts)).traces["error"].to_list() == [error]


@pytest.mark.parametrize(
    ("value", "metrics", "odd"),
    [
        ("C", [("s", 1.0)], 0), ("P", [("s", 0.5)], 0), ("I", [("s", 0.0)], 0), ("N", [("s", 0.0)], 0),
        ("Yes", [("s", 1.0)], 0), ("false", [("s", 0.0)], 0), ("0.25", [("s", 0.25)], 0), (True, [("s", 1.0)], 0),
        (2, [("s", 2.0)], 0), ({"a": "C", "b": 3, "c": "?"}, [("s.a", 1.0), ("s.b", 3.0)], 1), ("maybe", [], 1),
        (float("nan"), [], 1), ([1], [], 1), (None, [], 0), (10**400, [], 1),
    ],
)  # fmt: skip
def test_scores_are_numbers_or_counted(value: object, metrics: list[tuple[str, float]], odd: int) -> None:
    assert metrics_of_scores({"s": {"value": value}}, "$") == (metrics, odd)
    if not isinstance(value, dict):
        assert metrics_of_scores({"s": value}, "$") == (metrics, odd)


def test_nan_anywhere_in_a_sample_is_read(tmp_path: Path) -> None:
    events = [*EVENTS, {"event": "score", "value": float("nan")}]
    odd = sample(scores={"match": {"value": float("nan")}}, events=events)
    trace = pe.read(write(tmp_path / "x.eval", members(odd))).traces.row(0, named=True)
    assert (trace["score"], trace["dropped"]) == (None, [{"kind": "scores that are no number", "count": 1}])
    assert trace["tools"] is not None


def test_a_header_may_hold_nan_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    source = write(tmp_path / "x.eval", members(sample(), header=HEADER | {"results": {"mean": float("nan")}}))
    assert pe.read(source).traces["eval_set_id"].to_list() == ["t"]
    parts = [(name, b"{" if name == "header.json" else data) for name, data in members(sample())]
    with pytest.raises(pe.BadRecordError, match=r"\(header\): expected valid JSON"):
        pe.read(write(tmp_path / "x.eval", parts))


def test_what_has_no_place_is_counted(tmp_path: Path) -> None:
    parts = [{"type": "reasoning", "reasoning": "x", "redacted": True}, {"type": "image", "image": "y"}]
    redacted = {"role": "assistant", "content": parts}
    tables = pe.read(write(tmp_path / "x.eval", members(sample(messages=[redacted], events=None, attachments=None))))
    assert tables.traces["dropped"].to_list() == [[{"kind": "redacted reasoning", "count": 1}]]
    assert tables.turns["image_blocks"].to_list() == [1]
    assert tables.traces["tools"].to_list() == [None]


def test_a_member_over_the_limit_is_set_aside_by_what_is_kept_of_it(tmp_path: Path) -> None:
    large = sample(1, events=[{"event": "state", "note": "x" * 5_000}] * 3)
    larger = sample(2)
    larger["messages"][0]["content"] = "x" * 5_000
    source = write(tmp_path / "x.eval", members(sample(0), large, larger))
    records = exported(source, on_error="skip", max_record_bytes=4_000)
    assert [record["metadata"]["case_id"] for record in records] == ["s/0", "s/1"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda data: data[:-200], "damaged zip archive"),
        (lambda data: data[:40], "damaged zip archive"),
        (
            lambda data: data.replace(b"PK\x03\x04", b"PK\x03\x05", 2).replace(b"PK\x03\x05", b"PK\x03\x04", 1),
            "damaged member",
        ),
        (lambda data: data[:300] + bytes(200) + data[500:], "damaged member"),
    ],
)
@pytest.mark.parametrize("method", [DEFLATED, ZSTD])
def test_a_damaged_archive_is_an_error_of_one_line(
    change: Callable[[bytes], bytes], problem: str, method: int, tmp_path: Path
) -> None:
    source = tmp_path / "x.eval"
    source.write_bytes(change(archive(members(*map(sample, range(3))), method)))
    with pytest.raises(pe.SourceError, match=problem) as error:
        exported(source)
    assert "\n" not in str(error.value)


def test_archives_of_other_kinds_are_named_and_searched_past(tmp_path: Path) -> None:
    other = write(tmp_path / "other.eval", [("a.txt", b"x")])
    with pytest.raises(pe.SourceError, match="found an archive of other files"):
        pe.read(other)
    write(tmp_path / "x.eval", members(sample()))
    assert len(pe.read(tmp_path)) == 1
    with pytest.raises(pe.SourceError, match="encrypted members are not read"):
        pe.read(write(tmp_path / "locked.eval", members(sample()), flags=1))
    with pytest.raises(pe.SourceError, match="compression method 12 is not read"):
        pe.read(write(tmp_path / "bzip.eval", members(sample()), 12))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"messages": 3}, r"x\.eval: samples/s/1_epoch_2\.json: \$\.messages: expected an array of messages"),
        ({"messages": [3]}, r"\$\.messages\[0\]: expected an object"),
        ({"messages": [{"role": "robot"}]}, r"\$\.messages\[0\]\.role: expected one of"),
        ({"scores": 3}, r"\$\.scores: expected an object of scores or null"),
    ],
)
def test_what_is_no_sample_is_named_with_its_member(fields: Json, problem: str, tmp_path: Path) -> None:
    source = write(tmp_path / "x.eval", members(sample(0), sample(1, **fields)))
    with pytest.raises(pe.BadRecordError, match=problem):
        pe.read(source)
    assert len(exported(source, on_error="skip")) == 1


@pytest.mark.parametrize(
    "text", [b"[]", b'{"a" 1}', b'{"a": 1', b'{"messages": [1, 2', b"{}", b'{"events": [], "id": 1}']
)
def test_a_large_member_that_is_no_sample_is_named(
    text: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zip_members, "_MOST_HELD", 1)
    source = write(tmp_path / "x.eval", [*members(sample()), ("samples/2_epoch_1.json", text)])
    with pytest.raises(pe.InputError):
        pe.read(source)


VALID = ("x.eval", archive(members(sample(0), sample(1)), STORED))
VALID_DOCUMENT = ("log.json", json.dumps(HEADER | {"samples": [sample(0), sample(1)]}).encode())
