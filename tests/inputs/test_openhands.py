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


def response(number: int, *calls: str, content: object = "I look.") -> Json:
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


@pytest.mark.parametrize(
    ("field", "name", "kind"),
    [
        ("action", "pause", "events of the agent's state"),
        ("action", "resume", "events of the agent's state"),
        ("action", "stop", "events of the agent's state"),
        ("action", "change_agent_state", "events of the agent's state"),
        ("action", "condensation_request", "condensations of the history"),
        ("observation", "condense", "condensations of the history"),
        ("action", "loop_recovery", "events of loops"),
        ("observation", "loop_detection", "events of loops"),
        ("observation", "null", "empty events"),
    ],
)
def test_events_of_the_harness_are_counted_and_say_nothing(field: str, name: str, kind: str, tmp_path: Path) -> None:
    event = {"id": 9, "source": "agent", field: name, "content": "x", "args": {"content": "x"}}
    tables = pe.read(write_lines(tmp_path / "output.jsonl", instance(event, action(10, response(1, "a"), "a"))))
    assert {each["kind"]: each["count"] for each in tables.traces["dropped"][0]}[kind] == 1
    assert tables.turns["text"].to_list() == ["I look."]


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
        ({"history": 3}, r"\$\.history: expected an array or null, found the number 3"),
        ({"history": None}, r"\$\.history: expected an array of events, or `error`, found null"),
        ({"history": [3]}, r"\$\.history\[0\]: expected an (object|array)"),
        ({"history": [{"id": 1}]}, r"\$\.history\[0\]: expected an event"),
        ({"history": [START[:1], [START[1], {}]]}, r"\$\.history\[1\]\[1\]: expected an event"),
        (
            {"history": [*START, {**START[1], "args": {"content": 3}}]},
            r"\$\.history\[4\]\.args\.content: expected a string",
        ),
        (
            {"history": [*START, action(4, response(1, content=[3]))]},
            r"\$\.history\[4\]\.tool_call_metadata\.model_response\.choices\[0\]\.message\.content\[0\]: exp",
        ),
        (
            {"history": [action(4, {"id": "x", "choices": [3]})]},
            r"\$\.history\[0\]\.tool_call_metadata\.model_response\.choices\[0\]\.message: expected a message",
        ),
        (
            {"history": [{**START[0], "args": {"content": "", "tools": [3]}}]},
            r"\$\.history\[0\]\.args\.tools\[0\]: expected a function schema",
        ),
    ],
)
def test_what_is_no_history_is_named_where_it_stands(line: Json, problem: str, tmp_path: Path) -> None:
    valid = instance(action(4, response(1, "a"), "a"))
    source = write_lines(tmp_path / "output.jsonl", valid, instance() | line)
    with pytest.raises(pe.BadRecordError, match=r"output\.jsonl:2: " + problem):
        pe.read(source)
    options = pe.ExportOptions("chatml", target="trl", on_error="skip")
    report = pe.export(source, tmp_path / "out.jsonl", options)
    assert (report.traces_read, report.exported, report.dropped["invalid"]) == (2, 1, 1)


def test_responses_with_one_id_are_several_where_they_say_something_else(tmp_path: Path) -> None:
    events = [action(4, response(1, "a"), "a"), observation(5, "a", "one"), action(6, response(1, "b"), "b")]
    events += [observation(7, "b", "two"), action(8, response(1, "b"), "b")]
    events.append(action(9, response(2, content="Done."), ""))
    (made,) = messages(tmp_path, instance(*events))
    assert [each.get("content") for each in made[2:]] == ["I look.", "one", "I look.", "two", "Done."]


def test_an_action_without_a_response_is_answered_by_the_id_of_its_call(tmp_path: Path) -> None:
    made_of = {"tool_call_id": "c9", "function_name": "execute_bash"}
    events = [{**action(4, None), "tool_call_metadata": made_of}, observation(5, "c9", "a.py")]
    (made,) = messages(tmp_path, instance(*events, action(6, response(2, content="Done."), "")))
    assert made[2]["tool_calls"][0]["function"]["name"] == "execute_bash"
    assert made[3] == {"role": "tool", "content": "a.py", "tool_call_id": "c9", "name": "execute_bash"}


def test_further_choices_images_and_files_are_counted(tmp_path: Path) -> None:
    answered = response(1, "a")
    answered["choices"] *= 3
    said = {"content": "See.", "image_urls": ["u", "v"], "file_urls": ["w"]}
    events = [action(4, answered, "a"), action(5, None, action="message", args=said)]
    tables = pe.read(write_lines(tmp_path / "output.jsonl", instance(*events)))
    dropped = {each["kind"]: each["count"] for each in tables.traces["dropped"][0]}
    assert dropped == {
        "images of users": 1,
        "events of recalled context": 2,
        "other choices of responses": 2,
        "images of other messages": 2,
        "files of other messages": 1,
    }


@pytest.mark.parametrize(
    ("error", "last", "ends"),
    [
        (None, "finish", (None, "stop")),
        (None, "run", (None, None)),
        ("RuntimeError: Agent reached maximum iteration in headless mode.", "run", "length"),
        ("AgentStuckInLoopError", "run", "error"),
    ],
)
def test_the_error_of_a_run_is_the_records(error: str | None, last: str, ends: object, tmp_path: Path) -> None:
    line = instance(action(4, response(1, "a"), "a", action=last), error=error)
    trace = pe.read(write_lines(tmp_path / "output.jsonl", line)).traces.select("error", "stop_reason").row(0)
    assert trace == (ends if isinstance(ends, tuple) else (error, ends))


def test_an_instance_that_crashed_before_its_first_event_is_a_trace(tmp_path: Path) -> None:
    line: Json = {"instance_id": "repo__9", "test_result": {}, "history": None, "error": "Maximum retries (5) reached"}
    traces = pe.read(write_lines(tmp_path / "output.jsonl", line)).traces
    assert traces.select("case_id", "turns", "error").row(0) == ("repo__9", 0, "Maximum retries (5) reached")


EVALUATED: list[Json] = [
    {"instance_id": "repo__1", "test_result": {"report": {"resolved": False}, "test_output": "x"}, "history": None},
    {"instance_id": "repo__1", "test_result": {"report": {"resolved": True}}, "history": None},
    {"instance_id": "repo__2", "test_result": None, "history": None},
]


def test_the_verdict_stands_in_an_evaluation_or_in_a_report_beside(tmp_path: Path) -> None:
    lines = [instance(START[1]) | {"instance_id": f"repo__{number}"} for number in (1, 2, 3)]
    source = write_lines(tmp_path / "output.jsonl", *lines)
    write_lines(tmp_path / "output.swebench_eval.jsonl", *EVALUATED)
    assert pe.read(source).traces["verdict"].to_list() == ["pass", None, None]
    report = {"resolved_ids": ["repo__2"], "unresolved_ids": ["repo__1", "repo__3"]}
    (tmp_path / "report.json").write_text(json.dumps(report), encoding="utf-8")
    assert pe.read(source).traces["verdict"].to_list() == ["pass", "pass", "fail"]
    (tmp_path / "output.swebench_eval.jsonl").write_text('{"instance_id": 3}\n\n{"inst', encoding="utf-8")
    with pytest.raises(pe.BadRecordError, match=r"evaluations in .*swebench_eval\.jsonl beside it, found a line 3"):
        pe.read(source)


def test_evaluations_and_configurations_accompany_an_output_and_nothing_else_does(tmp_path: Path) -> None:
    for folder in ("run", "other"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        write_lines(tmp_path / "in" / folder / "output.swebench.jsonl", {"instance_id": "repo__1", "model_patch": ""})
        write_lines(tmp_path / "in" / folder / "metadata.json", {"agent_class": "CodeActAgent", "llm_config": {}})
        write_lines(tmp_path / "in" / folder / "report.json", {"total_instances": 1, "resolved_ids": []})
    write_lines(tmp_path / "in/run/output.swebench_eval.jsonl", *EVALUATED)
    write_lines(tmp_path / "in/run/output.jsonl", instance(action(4, response(1, "a"), "a")))
    report = pe.export(tmp_path / "in", tmp_path / "out.jsonl", pe.ExportOptions("chatml", target="trl"))
    named = [path.removeprefix(f"{tmp_path}/in/") for path in report.skipped_files]
    assert report.traces_read == 1
    assert named == ["other/metadata.json", "other/output.swebench.jsonl", "other/report.json"]


def test_rows_of_messages_are_not_taken(tmp_path: Path) -> None:
    spoken = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    row = {"instance_id": "repo__1", "history": spoken, "metrics": {}, "metadata": {}}
    assert pe.read(write_lines(tmp_path / "rows.jsonl", row)).traces["input"].to_list() == ["message-rows"]
    line: Json = {key: value for key, value in instance(START[1]).items() if key != "test_result"}
    assert pe.read(write_lines(tmp_path / "output.jsonl", line)).traces["input"].to_list() == ["openhands"]


def test_what_observations_say_again_is_not_decoded(tmp_path: Path) -> None:
    source = tmp_path / "output.jsonl"
    event = observation(5, "a", "one", extras={"old": 0}, llm_metrics={"old": 0})
    text = json.dumps(instance(action(4, response(1, "a"), "a"), event, instance={"old": 0}))
    huge = "1" * 5000  # digits: more than an integer may have for Python, were it decoded
    assert text.count('"old": 0') == 3
    source.write_text(text.replace('"old": 0', f'"old": {huge}') + "\n", encoding="utf-8")
    assert pe.read(source).turns.height == 1


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


def test_the_real_file_trains_with_all_messages_calls_and_results(tmp_path: Path) -> None:
    source = real_file("openhands/output.jsonl")
    options = pe.ExportOptions("chatml", target="trl")
    report = pe.export(source, tmp_path / "out.jsonl", options)
    lines = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    made = [json.loads(line)["messages"] for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (report.exported, len(made)) == (len(lines), len(lines))
    trimmed = 0
    for line, record in zip(lines, made, strict=True):
        calls = {
            event["tool_call_metadata"]["tool_call_id"]
            for event in line["history"]
            if "action" in event and event.get("tool_call_metadata")
        }
        results = [event for event in line["history"] if "observation" in event and event.get("tool_call_metadata")]
        assert {call["id"] for each in record for call in each.get("tool_calls") or ()} == calls
        answered = sum(each["role"] == "tool" for each in record)
        trimmed += len(results) - answered
        assert [each["content"] for each in record if each["role"] == "tool"] == [
            event["content"] for event in results[:answered]
        ]
        said = [event for event in line["history"] if event.get("action") in {"system", "message"}]
        errors = [event for event in line["history"] if event.get("observation") == "error"]
        assert sum(each["role"] in {"system", "user"} for each in record) == len(said) + len(errors)
    assert (
        trimmed == report.dropped_content["tool results at the end"] == 1
    )  # the observation with which one of them ends
