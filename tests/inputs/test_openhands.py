"""OpenHands' histories of events."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from tests.builders import write_lines
from tests.inputs.real_files import real_file

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]


def response(number: int, *calls: str, content: str | None = "I look.") -> Json:
    made = [
        {"id": call, "type": "function", "function": {"name": "run", "arguments": json.dumps({"x": call})}}
        for call in calls
    ]
    message = {"role": "assistant", "content": content, "tool_calls": made or None}
    return {"id": f"gen-{number}", "model": "llama", "choices": [{"message": message}]}


def action(number: int, answered: Json | None, call: str = "", **fields: object) -> Json:
    metadata = {"tool_call_metadata": {"tool_call_id": call, "model_response": answered}} if answered else {}
    return (
        {"id": number, "source": "agent", "action": "run", "args": {"command": "ls", "thought": "Hm."}}
        | metadata
        | fields
    )


def observation(number: int, call: str, content: str, **fields: object) -> Json:
    metadata = {"tool_call_metadata": {"tool_call_id": call, "model_response": response(1, call)}} if call else {}
    return {"id": number, "source": "agent", "observation": "run", "content": content} | metadata | fields


START: list[Json] = [
    {"id": 0, "source": "agent", "action": "system", "args": {"content": "You help.", "tools": [{"name": "run"}]}},
    {"id": 1, "source": "user", "action": "message", "args": {"content": "Fix it.", "image_urls": ["u"]}},
    {"id": 2, "source": "user", "action": "recall", "args": {}},
    {"id": 3, "source": "environment", "observation": "recall", "content": "context"},
]


def instance(*events: Json, **fields: object) -> Json:
    metadata = {"llm_config": {"model": "openai/llama"}}
    return {"instance_id": "repo__1", "test_result": {}, "metadata": metadata, "history": [*START, *events]} | fields


def messages(tmp_path: Path, *lines: Json) -> list[list[Json]]:
    output = tmp_path / "out.jsonl"
    pe.export(write_lines(tmp_path / "output.jsonl", *lines), output, pe.ExportOptions("chatml", target="trl"))
    return [json.loads(line)["messages"] for line in output.read_text(encoding="utf-8").splitlines()]


def test_a_response_of_two_calls_stands_in_two_events_and_is_one_turn(tmp_path: Path) -> None:
    both = response(1, "a", "b")
    events = [
        action(4, both, "a"),
        observation(5, "a", "one"),
        action(6, both, "b"),
        observation(7, "b", "two"),
        action(8, response(2, content="Done."), "", action="finish"),
    ]
    (made,) = messages(tmp_path, instance(*events))
    calls = [
        {"id": call, "type": "function", "function": {"name": "run", "arguments": {"x": call}}} for call in ("a", "b")
    ]
    assert made == [
        {"role": "system", "content": "You help."},
        {"role": "user", "content": "Fix it."},
        {"role": "assistant", "content": "I look.", "tool_calls": calls},
        {"role": "tool", "content": "one", "tool_call_id": "a", "name": "run"},
        {"role": "tool", "content": "two", "tool_call_id": "b", "name": "run"},
        {"role": "assistant", "content": "Done."},
    ]


def test_what_has_no_place_is_counted_by_kind(tmp_path: Path) -> None:
    events = [
        action(4, None, action="condensation"),
        {"id": 5, "source": "environment", "observation": "agent_state_changed", "content": ""},
        {"id": 6, "source": "environment", "action": "odd"},
        action(7, response(1, "a"), "a"),
    ]
    tables = pe.read(write_lines(tmp_path / "output.jsonl", instance(*events)))
    assert {each["kind"]: each["count"] for each in tables.traces["dropped"][0]} == {
        "images of users": 1,
        "events of recalled context": 2,
        "condensations of the history": 1,
        "events of the agent's state": 1,
        "events of other kinds": 1,
    }
    assert tables.traces.select("model_id", "case_id").row(0) == ("openai/llama", "repo__1")
    assert json.loads(tables.traces["tools"][0][0])["function"]["name"] == "run"


def test_actions_without_a_response_become_calls_that_their_observations_answer(tmp_path: Path) -> None:
    events = [
        action(4, None),
        observation(5, "", "a.py", cause=4),
        observation(6, "", "You must call a tool."),
        action(7, None, action="message", args={"content": "Done."}),
    ]
    (made,) = messages(tmp_path, instance(*events))
    call = {"id": "event-4", "type": "function", "function": {"name": "run", "arguments": {"command": "ls"}}}
    assert made[2:] == [
        {"role": "assistant", "content": "Hm.", "tool_calls": [call]},
        {"role": "tool", "content": "a.py", "tool_call_id": "event-4", "name": "run"},
        {"role": "user", "content": "You must call a tool."},
        {"role": "assistant", "content": "Done."},
    ]


def test_older_histories_are_pairs_of_events(tmp_path: Path) -> None:
    pairs = [[START[1], START[3]], [action(4, response(1, "a"), "a"), observation(5, "a", "one")]]
    tables = pe.read(write_lines(tmp_path / "output.jsonl", instance() | {"history": pairs}))
    assert tables.turns["tool_results"].list.len().to_list() == [1]


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({"report": {"resolved": True}}, "pass"),
        ({"test_result": {"report": {"resolved": False}}}, "fail"),
        ({"test_result": {"git_patch": ""}}, None),
    ],
)
def test_the_verdict_is_that_of_the_report(fields: Json, verdict: str | None, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "output.jsonl", instance(action(4, response(1, "a"), "a"), **fields))
    assert pe.read(source).traces["verdict"].to_list() == [verdict]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (instance() | {"history": 3}, r"output\.jsonl:2: \$\.history: expected an array of events, found the number 3"),
        (instance() | {"history": [3]}, r"output\.jsonl:2: \$\.history\[0\]: expected an event"),
    ],
)
def test_what_is_no_history_is_named(line: Json, problem: str, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "output.jsonl", instance(), line)
    with pytest.raises(pe.BadRecordError, match=problem):
        pe.read(source)


_LINES = (instance(action(4, response(1, "a"), "a"), observation(5, "a", "one")), instance())
VALID = ("output.jsonl", "".join(json.dumps(line) + "\n" for line in _LINES).encode())


def test_the_real_file_has_all_messages_calls_and_results() -> None:
    source = real_file("openhands/output.jsonl")
    tables = pe.read(source)
    for place, line in enumerate(map(json.loads, source.read_text(encoding="utf-8").splitlines())):
        responses = {
            event["tool_call_metadata"]["model_response"]["id"]: event["tool_call_metadata"]["model_response"]
            for event in line["history"]
            if "action" in event and event.get("tool_call_metadata")
        }
        spoken = [each["choices"][0]["message"] for each in responses.values()]
        turns = tables.turns.filter(tables.turns["trace"] == place)
        assert turns["text"].to_list() == [message["content"] or "" for message in spoken]
        calls = [call["id"] for message in spoken for call in message.get("tool_calls") or []]
        assert [call["id"] for calls_ in turns["tool_calls"] for call in calls_] == calls
        answered = [event for event in line["history"] if "observation" in event and event.get("tool_call_metadata")]
        results = [result for results_ in turns["tool_results"] for result in results_]
        assert [result["text"] for result in results] == [event["content"] for event in answered]
        kinds = Counter(event.get("observation") or event["action"] for event in line["history"])
        dropped = {each["kind"]: each["count"] for each in tables.traces["dropped"][place]}
        assert dropped == {"events of recalled context": kinds["recall"]}
