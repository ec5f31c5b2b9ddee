"""Trajectories of mini-swe-agent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.inputs.registry import dialects
from tests.inputs.test_swe_agent import CALL, records, write

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]
MINI: Json = {
    "info": {"config": {"model": {"model_name": "gpt"}}, "model_stats": {}, "exit_status": "Submitted"},
    "messages": [
        {"role": "system", "content": "You help."},
        {"role": "user", "content": "Fix it."},
        {"role": "assistant", "content": "THOUGHT: I look.", "extra": {"response": {}}},
        {"role": "user", "content": "<returncode>0</returncode>"},
        {"role": "assistant", "content": "Done."},
        {"role": "exit", "content": "diff", "extra": {}},
    ],
    "trajectory_format": "mini-swe-agent-1.1",
}


@pytest.mark.parametrize("says_format", [True, False])
def test_a_trajectory_of_mini_swe_agent(says_format: bool, tmp_path: Path) -> None:  # noqa: FBT001
    value = {key: MINI[key] for key in MINI if says_format or key != "trajectory_format"}
    (record,) = records(write(tmp_path / "repo__3.traj.json", value))
    kept = [{key: message[key] for key in ("role", "content")} for message in MINI["messages"][:5]]
    assert record["messages"] == kept
    assert record["metadata"] | {"case_id": "repo__3", "model_id": "gpt", "turns": 2} == record["metadata"]
    (trace,) = pe.read(tmp_path / "repo__3.traj.json").traces.select("input", "error", "dropped").rows()
    assert trace == ("mini-swe-agent", None, [{"kind": "notes at the end of a run", "count": 1}])


def test_calls_and_items_of_responses_in_mini_swe_agent(tmp_path: Path) -> None:
    item = {"type": "function_call", "call_id": "c2", "name": "bash", "arguments": '{"command": "pwd"}'}
    messages = [
        {"role": "user", "content": "Fix it."},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "a.py", "tool_call_id": "c1"},
        {"object": "response", "output": [item], "extra": {}},
        {"type": "function_call_output", "call_id": "c2", "output": "/"},
        {"role": "assistant", "content": "Done."},
    ]
    value = MINI | {"messages": messages, "instance_id": "repo__4"}
    tables = pe.read(write(tmp_path / "x.json", value))
    assert tables.traces["case_id"].to_list() == ["repo__4"]
    assert tables.turns["tool_results"].list.len().to_list() == [1, 1, 0]


NOTE = {"role": "user", "content": "No call found.", "extra": {"interrupt_type": "FormatError", "response": {"a": 1}}}


def test_an_answer_that_could_not_be_parsed_is_counted(tmp_path: Path) -> None:
    messages = [*MINI["messages"][:2], NOTE, {**NOTE, "extra": {"interrupt_type": "FormatError"}}]
    source = write(tmp_path / "x.json", MINI | {"messages": [*messages, *MINI["messages"][2:]]})
    tables = pe.read(source)
    assert {each["kind"]: each["count"] for each in tables.traces["dropped"][0]} == {
        "answers that could not be parsed": 1,
        "notes at the end of a run": 1,
    }
    said = [each["content"] for each in tables.turns["preceding"][0]]
    assert said == ["You help.", "Fix it.", "No call found.", "No call found."]


@pytest.mark.parametrize(
    ("status", "ends"),
    [
        ("Submitted", (None, "stop")),
        ("LimitsExceeded", ("LimitsExceeded", "length")),
        ("APIError", ("APIError", "error")),
        ("", (None, None)),
        (None, (None, None)),
    ],
)
def test_the_exit_status_says_how_a_run_ended(status: str | None, ends: tuple[str | None, str], tmp_path: Path) -> None:
    source = write(tmp_path / "x.json", MINI | {"info": {"exit_status": status}})
    assert pe.read(source).traces.select("error", "stop_reason").row(0) == ends


def test_a_run_that_crashed_before_its_first_message_is_a_trace(tmp_path: Path) -> None:
    crashed = {"info": {"exit_status": "RuntimeError"}, "messages": [], "trajectory_format": "mini-swe-agent-1"}
    tables = pe.read(write(tmp_path / "repo__5.traj.json", crashed))
    assert tables.traces.select("case_id", "turns", "error").row(0) == ("repo__5", 0, "RuntimeError")


def test_the_case_is_the_instance_and_a_report_says_whether_it_is_resolved(tmp_path: Path) -> None:
    for place in ("top", "info"):
        value = MINI | {"instance_id": "repo__6"} if place == "top" else MINI | {"info": {"instance_id": "repo__6"}}
        assert pe.read(write(tmp_path / "x.json", value)).traces["case_id"].to_list() == ["repo__6"]
    run = tmp_path / "run"
    (run / "repo__6").mkdir(parents=True)
    source = write(run / "repo__6" / "repo__6.traj.json", MINI)
    write(run / "report.json", {"resolved_ids": [], "unresolved_ids": ["repo__6"]})
    write(run / "preds.json", {"repo__6": {"model_patch": ""}})
    assert pe.read(source).traces.select("verdict", "score").row(0) == ("fail", 0.0)
    found = pe.export(run, tmp_path / "o.jsonl", pe.ExportOptions("chatml", target="trl", missing_prompt="keep"))
    assert found.skipped_files == {}


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        (3, r"\$\.messages: expected an array, found the number 3"),
        (["x"], r"\$\.messages\[0\]: expected an object"),
        ([NOTE, {"role": "robot"}], r"\$\.messages\[1\]\.role: expected one of system"),
        ([{"role": "exit"}, {"role": "user", "content": 3}], r"\$\.messages\[1\]\.content: expected a string"),
        (
            [{"object": "response", "output": [{"role": "assistant", "content": "a"}, {"role": "user", "content": 3}]}],
            r"\$\.messages\[0\]\.output\[1\]\.content: expected a string",
        ),
    ],
)
def test_what_is_no_message_is_named_where_it_stands(messages: object, problem: str, tmp_path: Path) -> None:
    source = write(tmp_path / "x.json", MINI | {"messages": messages})
    with pytest.raises(pe.BadRecordError, match=problem):
        pe.read(source)
    options = pe.ExportOptions("chatml", target="trl", missing_prompt="keep", on_error="skip")
    valid = write(tmp_path / "y.json", MINI)
    report = pe.export([source, valid], tmp_path / "out.jsonl", options)
    assert (report.traces_read, report.exported, report.dropped["invalid"]) == (2, 1, 1)


def test_responses_as_they_came_are_not_decoded(tmp_path: Path) -> None:
    huge = "1" * 5000  # digits: more than an integer may have for Python, were it decoded
    source = write(tmp_path / "x.json", MINI)
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace('"response": {}', f'"response": {huge}'), encoding="utf-8")
    assert huge in source.read_text(encoding="utf-8")
    assert pe.read(source).turns.height == 2


def test_all_messages_calls_and_results_come_out(tmp_path: Path) -> None:
    messages: list[Json] = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    for number in range(5):
        calls = [{**CALL, "id": f"{number}-{place}"} for place in range(number % 3)]
        messages.append({"role": "assistant", "content": f"a{number}", "tool_calls": calls})
        messages += [{"role": "tool", "content": "r", "tool_call_id": call["id"]} for call in calls]
        messages += [] if calls else [{"role": "user", "content": "go on"}]
    messages.append({"role": "assistant", "content": "end"})
    (record,) = records(write(tmp_path / "x.json", MINI | {"messages": messages}))
    assert [each["role"] for each in record["messages"]] == [each["role"] for each in messages]
    made = [call["id"] for each in record["messages"] for call in each.get("tool_calls") or ()]
    assert made == [call["id"] for each in messages for call in each.get("tool_calls") or ()]


VALID = ("x.json", json.dumps(MINI).encode())


def test_other_kinds_are_not_taken() -> None:
    assert dialects()["mini-swe-agent"].matches_keys({"messages", "info"}) is None
