"""tau2-bench's simulations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from tests.inputs.real_files import real_file

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]


def call(name: str, call_id: str = "c1", requestor: str = "assistant") -> Json:
    return {"id": call_id, "name": name, "arguments": {"x": 1}, "requestor": requestor}


def result(call_id: str = "c1", requestor: str = "assistant", content: str = "seen") -> Json:
    return {"role": "tool", "id": call_id, "content": content, "requestor": requestor, "error": False}


GREETING = {"role": "assistant", "content": "Hi!", "tool_calls": None, "cost": 0.0, "usage": None}
MESSAGES: list[Json] = [
    GREETING,
    {"role": "user", "content": "Help.", "tool_calls": [call("status", "u1", "user")]},
    result("u1", "user"),
    {"role": "assistant", "content": None, "tool_calls": [call("look"), call("look", "c2")], "usage": {"t": 1}},
    result("c2", content="two"),
    result("c1", content="one"),
    {"role": "user", "content": None, "tool_calls": [call("status", "u2", "user")]},
    result("u2", "user"),
    {"role": "assistant", "content": "Done.", "usage": {"t": 1}},
    {"role": "user", "content": "###STOP###"},
]


def simulation(number: int = 0, **fields: object) -> Json:
    reward = {"reward": number / 2}
    reason = "user_stop"
    return {
        "id": f"s{number}", "task_id": f"t{number}", "trial": 0, "termination_reason": reason, "reward_info": reward,
        "messages": MESSAGES,
    } | fields  # fmt: skip


INFO: Json = {
    "environment_info": {"domain_name": "airline", "policy": "Be kind.", "tool_defs": None},
    "agent_info": {"llm": "gpt"},
}


def results(*simulations: Json, **fields: object) -> Json:
    whole = {"timestamp": "t", "info": INFO, "tasks": [{"id": "t0", "ticket": "A ticket."}]}
    return whole | {"simulations": list(simulations)} | fields


def write(path: Path, value: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
    return path


def exported(source: Path, output: Path, **options: Any) -> list[Json]:  # noqa: ANN401 - options
    pe.export(source, output, pe.ExportOptions("chatml", target="trl", **options))
    return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


def test_the_agents_conversation_without_the_users_own_calls(tmp_path: Path) -> None:
    (record,) = exported(write(tmp_path / "run.json", results(simulation(1))), tmp_path / "out.jsonl")
    calls = [
        {"id": call_id, "type": "function", "function": {"name": "look", "arguments": {"x": 1}}}
        for call_id in ("c1", "c2")
    ]
    assert record["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "assistant", "content": "Hi!"},
        {"role": "user", "content": "Help."},
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "content": "two", "tool_call_id": "c2", "name": "look"},
        {"role": "tool", "content": "one", "tool_call_id": "c1", "name": "look"},
        {"role": "assistant", "content": "Done."},
    ]
    metadata = {"case_id": "t1", "eval_set_id": "airline", "run": "s1", "score": 0.5, "model_id": "gpt", "turns": 3}
    assert record["metadata"] == metadata


def test_what_is_not_the_agents_is_counted_and_the_greeting_is_context(tmp_path: Path) -> None:
    tables = pe.read(write(tmp_path / "run.json", results(simulation())))
    assert {each["kind"]: each["count"] for each in tables.traces["dropped"][0]} == {
        "calls of the user's own": 2,
        "results of the user's own calls": 2,
        "prompts made of a policy": 1,
    }
    assert tables.turns["context"].to_list() == [True, False, False]


def test_the_history_of_a_task_is_context(tmp_path: Path) -> None:
    """As in `update_task_with_message_history` of the domain `mock`: the run goes on where the history ends."""
    history = [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "tool_calls": [call("look", "h1")]},
        result("h1"),
        {"role": "assistant", "content": "And?"},
    ]
    said = {"role": "assistant", "content": "Done.", "usage": {"t": 1}}
    run = simulation(messages=[*history, {"role": "user", "content": "Go."}, said])
    document = results(run, tasks=[{"id": "t0", "initial_state": {"message_history": history}}])
    turns = pe.read(write(tmp_path / "run.json", document)).turns
    assert turns["context"].to_list() == [True, True, False]
    assert turns["tool_result_count"].to_list() == [1, 0, 0]


def test_tools_stand_by_their_names(tmp_path: Path) -> None:
    """As `get_tool_signatures` of tau2-bench makes them."""
    params = {"type": "object", "properties": {"x": {"type": "integer"}}}
    tool_defs = {"look": {"name": "look", "doc": "Looks.", "params": params, "returns": {"type": "string"}}}
    info = INFO | {"environment_info": {**INFO["environment_info"], "tool_defs": tool_defs}}
    (record,) = exported(write(tmp_path / "run.json", results(simulation(), info=info)), tmp_path / "out.jsonl")
    function = {"name": "look", "description": "Looks.", "parameters": params}
    assert record["tools"] == [{"type": "function", "function": function}]


def test_a_folder_of_simulations_is_read_sorted_by_name(tmp_path: Path) -> None:
    index = {key: value for key, value in results(simulation_index=["s1", "s0"]).items() if key != "simulations"}
    write(tmp_path / "run/results.json", index)
    for number in (1, 0):
        write(tmp_path / f"run/simulations/s{number}.json", simulation(number))
    folder = pe.read(tmp_path / "run").traces
    assert folder["run"].to_list() == ["s0", "s1"]
    document = pe.read(write(tmp_path / "one.json", results(simulation(0), simulation(1)))).traces
    columns = ["input", "eval_set_id", "case_id", "run", "score", "model_id", "turns", "user_messages", "dropped"]
    assert folder.select(columns).rows() == document.select(columns).rows()
    with pytest.raises(pe.SourceError, match="the simulations stand in the folder simulations beside it"):
        pe.read(tmp_path / "run/results.json")


def test_ids_may_repeat_or_be_empty(tmp_path: Path) -> None:
    for call_id in ("c1", ""):
        turn = {"role": "assistant", "content": None, "tool_calls": [call("look", call_id)], "usage": {"t": 1}}
        said = [turn, result(call_id, content="one"), turn, result(call_id, content="two")]
        turns = pe.read(write(tmp_path / "run.json", results(simulation(messages=said)))).turns
        assert [[each["text"] for each in results_] for results_ in turns["tool_results"]] == [["one"], ["two"]]


@pytest.mark.parametrize(
    ("reason", "stop", "error"),
    [("agent_stop", "stop", None), ("max_steps", "length", None), ("too_many_errors", None, "too_many_errors")],
)
def test_how_a_run_ended(reason: str, stop: str | None, error: str | None, tmp_path: Path) -> None:
    source = write(tmp_path / "run.json", results(simulation(termination_reason=reason, reward_info=None)))
    assert pe.read(source).traces.select("stop_reason", "error", "score").row(0) == (stop, error, None)


def test_a_run_without_a_user_has_its_ticket(tmp_path: Path) -> None:
    said = [{"role": "assistant", "content": "Done.", "usage": {"t": 1}}]
    (record,) = exported(write(tmp_path / "run.json", results(simulation(messages=said))), tmp_path / "out.jsonl")
    assert [message["content"] for message in record["messages"]] == ["Be kind.", "A ticket.", "Done."]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"messages": None, "ticks": []}, r"\$\.simulations\[1\]\.messages: expected a run of messages, found a voice"),
        ({"messages": [3]}, r"\$\.simulations\[1\]\.messages\[0\]: expected an object"),
        ({"messages": [{"role": "robot"}]}, r"\$\.simulations\[1\]\.messages\[0\]\.role: expected one of"),
        ({"reward_info": {"reward": "x"}}, r"\$\.simulations\[1\]\.reward_info\.reward: expected a number or null"),
    ],
)  # fmt: skip
def test_what_is_no_simulation_is_named_and_set_aside(fields: Json, problem: str, tmp_path: Path) -> None:
    source = write(tmp_path / "run.json", results(simulation(0), simulation(1, **fields), simulation(2)))
    with pytest.raises(pe.BadRecordError, match=problem):
        pe.read(source)
    assert len(exported(source, tmp_path / "out.jsonl", on_error="skip")) == 2


VALID = ("run.json", json.dumps(results(simulation(0), simulation(1))).encode())


@pytest.mark.parametrize("name", ["airline", "telecom"])
def test_real_simulations_have_all_messages_calls_and_results(name: str) -> None:
    source = real_file(f"tau2/{name}.part.json")
    simulations = json.loads(source.read_text(encoding="utf-8"))["simulations"]
    tables = pe.read(source)
    said = [message for each in simulations for message in each["messages"]]
    agents = [message for message in said if message["role"] == "assistant"]
    assert tables.turns["text"].to_list() == [message["content"] or "" for message in agents]
    calls = [made["id"] for message in agents for made in message["tool_calls"] or []]
    assert [made["id"] for of_turn in tables.turns["tool_calls"] for made in of_turn] == calls
    results_ = [message["content"] for message in said if message["role"] == "tool" and message["requestor"] != "user"]
    assert sorted(made["text"] for of_turn in tables.turns["tool_results"] for made in of_turn) == sorted(results_)
    users = [message for message in said if message["role"] == "user" and message["content"]]
    assert int(tables.traces["user_messages"].sum()) == len(users)
    dropped = [each for of_trace in tables.traces["dropped"] for each in of_trace]
    own = sum(len(message["tool_calls"] or []) for message in said if message["role"] == "user")
    assert sum(each["count"] for each in dropped if each["kind"] == "calls of the user's own") == own
    assert tables.traces["score"].to_list() == [each["reward_info"]["reward"] for each in simulations]
