"""Trajectories of SWE-agent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import polars_export as pe
from polars_export.inputs.registry import dialects
from tests.inputs.real_files import real_file

Json = dict[str, Any]
CALL = {"id": "c1", "type": "function", "index": 0, "function": {"name": "bash", "arguments": '{"command": "ls"}'}}
HISTORY: list[Json] = [
    {"role": "system", "content": "You help.", "agent": "main", "message_type": "system_prompt"},
    {"role": "user", "content": [{"type": "text", "text": "Fix it."}], "agent": "main", "message_type": "observation"},
    {"role": "assistant", "content": "I look.", "thought": "I look.", "agent": "main", "tool_calls": [CALL]},
    {"role": "tool", "content": [{"type": "text", "text": "a.py"}], "agent": "main", "tool_call_ids": ["c1"]},
    {"role": "assistant", "content": "Done.", "thinking_blocks": [{"type": "thinking", "thinking": "Hm."}]},
]  # fmt: skip
CONFIG = {"agent": {"model": {"name": "claude"}}, "problem_statement": {"id": "repo__1"}}


def trajectory(history: list[Json] = HISTORY, **fields: object) -> Json:
    info = {"exit_status": "submitted", "model_stats": {}}
    whole = {"environment": "swe_main", "trajectory": [{"action": "ls"}] * 2, "history": history, "info": info}
    return whole | {"replay_config": json.dumps(CONFIG)} | fields


def write(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")
    return path


def records(source: Path) -> list[Json]:
    output = source.with_name("out.jsonl")
    pe.export(source, output, pe.ExportOptions("chatml", target="trl", missing_prompt="keep"))
    return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


def test_the_history_is_the_conversation(tmp_path: Path) -> None:
    (record,) = records(write(tmp_path / "x.traj", trajectory()))
    assert record["messages"] == [
        {"role": "system", "content": "You help."},
        {"role": "user", "content": "Fix it."},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "bash", "arguments": {"command": "ls"}}}
            ],
        },
        {"role": "tool", "content": "a.py", "tool_call_id": "c1", "name": "bash"},
        {"role": "assistant", "content": "Done.", "reasoning_content": "Hm."},
    ]
    metadata = record["metadata"]
    assert (metadata["case_id"], metadata["model_id"], metadata["score"]) == ("repo__1", "claude", None)


@pytest.mark.parametrize("config", [CONFIG, json.dumps(CONFIG), None])
def test_the_configuration_may_be_an_object_a_text_or_absent(config: object, tmp_path: Path) -> None:
    trace = pe.read(write(tmp_path / "repo__2.traj", trajectory(replay_config=config))).traces.row(0, named=True)
    assert (trace["case_id"], trace["model_id"]) == (("repo__1", "claude") if config else ("repo__2", None))


def test_demonstrations_are_context_and_other_agents_are_counted(tmp_path: Path) -> None:
    demonstration = [
        {"role": "user", "content": "Show.", "is_demo": True, "agent": "primary"},
        {"role": "assistant", "content": "Shown.", "is_demo": True, "agent": "primary"},
    ]
    other = {"role": "assistant", "content": "Not mine.", "agent": "secondary"}
    unmarked = [{key: value for key, value in item.items() if key != "agent"} for item in HISTORY]
    tables = pe.read(write(tmp_path / "x.traj", trajectory([*demonstration, *unmarked, other])))
    assert tables.turns["context"].to_list() == [True, False, False]
    assert tables.traces["dropped"].to_list() == [[{"kind": "messages of other agents", "count": 1}]]


def test_a_last_step_that_the_history_lacks_is_read_from_the_trajectory(tmp_path: Path) -> None:
    steps = [{"action": "ls", "response": "I look."}, {"action": "x", "response": "Done."}, {"response": "submit"}]
    tables = pe.read(write(tmp_path / "x.traj", trajectory(trajectory=steps)))
    assert tables.turns["text"].to_list() == ["I look.", "Done.", "submit"]


def test_what_the_last_step_calls_is_counted_where_calls_are_recorded(tmp_path: Path) -> None:
    steps = [{"action": "ls", "response": "I look."}, {"action": "x", "response": "Done."}, {"response": "submit"}]
    tables = pe.read(write(tmp_path / "x.traj", trajectory(trajectory=steps)))
    assert dropped(tables) == {"calls known by their commands alone": 1}


def dropped(tables: pe.Tables) -> dict[str, int]:
    return {each["kind"]: each["count"] for each in tables.traces["dropped"][0]}


def test_steps_that_were_asked_again_repeat_no_turn(tmp_path: Path) -> None:
    steps = [{"action": "ls", "response": "I look."}, {"action": "", "response": "?"}, {"response": "Done."}]
    tables = pe.read(write(tmp_path / "x.traj", trajectory(trajectory=steps)))
    assert tables.turns["text"].to_list() == ["I look.", "Done."]
    assert dropped(tables) == {"steps that the history lacks": 1}


@pytest.mark.parametrize(
    "said",
    [
        {"content": "Exit due to cost limit", "thought": "Exit due to cost limit", "action": ""},
        {"content": "Exit due to cost limit", "thought": "Exit due to cost limit", "action": "exit_cost"},
        {"content": "exit due to cost limit", "thought": "Exit due to cost limit", "action": "exit_cost"},
    ],
)
def test_what_the_harness_says_at_the_end_is_no_turn(said: Json, tmp_path: Path) -> None:
    ends = {"role": "assistant", "agent": "main", **said}
    steps = [{"response": "I look."}, {"response": "Done."}, {"response": said["content"], **said}]
    ended = trajectory([*HISTORY, ends], info={"exit_status": "submitted (exit_cost)"}, trajectory=steps)
    tables = pe.read(write(tmp_path / "x.traj", ended))
    assert tables.turns["text"].to_list() == ["I look.", "Done."]
    assert dropped(tables) == {"messages of the harness": 1}
    assert tables.traces.select("error", "stop_reason").row(0) == ("submitted (exit_cost)", "length")


@pytest.mark.parametrize(
    "said",
    [
        {"content": "Exit due to a bug.", "thought": "Exit due to a bug.", "action": "submit"},
        {"content": "Exit due to a bug.", "thought": "A bug.", "action": ""},
        {"content": "No format at all.", "thought": "Exit due to format error", "action": "exit_format"},
    ],
)
def test_what_the_agent_says_at_the_end_is_a_turn(said: Json, tmp_path: Path) -> None:
    said = {"role": "assistant", "agent": "main", **said}
    assert pe.read(write(tmp_path / "x.traj", trajectory([*HISTORY, said]))).turns.height == 3


@pytest.mark.parametrize(
    ("status", "ends"),
    [
        ("submitted", (None, "stop")),
        ("exit_error", ("exit_error", "error")),
        ("exit_context", ("exit_context", "length")),
        (None, (None, None)),
        ("", (None, None)),
    ],
)
def test_the_exit_status_says_how_a_run_ended(status: str | None, ends: tuple[str | None, str], tmp_path: Path) -> None:
    source = write(tmp_path / "x.traj", trajectory(info={"exit_status": status}))
    assert pe.read(source).traces.select("error", "stop_reason").row(0) == ends


def test_older_demonstrations_are_context_though_they_are_not_marked(tmp_path: Path) -> None:
    demonstration = [
        {"role": "user", "content": "Show.", "agent": "primary"},
        {"role": "assistant", "content": "Shown.", "agent": "primary"},
        {"role": "user", "content": "Seen.", "agent": "primary"},
    ]
    tables = pe.read(write(tmp_path / "x.traj", trajectory([HISTORY[0], *demonstration, *HISTORY[1:]])))
    assert tables.turns["context"].to_list() == [True, False, False]
    assert [each["content"] for each in tables.turns["preceding"][1]] == ["Seen.", "Fix it."]
    assert dropped(tables) == {}


def test_a_marked_demonstration_of_another_agent_is_context(tmp_path: Path) -> None:
    demonstration = {"role": "user", "content": "Show.", "agent": "primary", "is_demo": True}
    (record,) = records(write(tmp_path / "x.traj", trajectory([HISTORY[0], demonstration, *HISTORY[1:]])))
    assert [each["content"] for each in record["messages"][:3]] == ["You help.", "Show.", "Fix it."]


def test_another_agent_that_speaks_first_of_all_is_counted(tmp_path: Path) -> None:
    others = [{**item, "agent": "other"} for item in HISTORY[1:3]]
    tables = pe.read(write(tmp_path / "x.traj", trajectory([*HISTORY, *others])))
    assert dropped(tables) == {"messages of other agents": 2}
    unnamed = [{**item, "agent": None} for item in HISTORY]
    assert pe.read(write(tmp_path / "y.traj", trajectory(unnamed))).turns.height == 2


def test_of_several_attempts_the_chosen_one_is_read_and_the_others_are_counted(tmp_path: Path) -> None:
    attempts = {"attempts": [trajectory(HISTORY[:3]), trajectory(), trajectory()]}
    tables = pe.read(write(tmp_path / "x.traj", attempts | trajectory()))
    assert (tables.turns.height, dropped(tables)) == (2, {"attempts that were not chosen": 2})
    with pytest.raises(pe.SourceError, match=r"y\.traj: a run of SWE-agent of which no attempt was chosen"):
        pe.read(write(tmp_path / "y.traj", attempts))


def test_a_report_of_the_run_stands_above_the_folder_of_an_instance(tmp_path: Path) -> None:
    report = write(tmp_path / "report.json", {"resolved_ids": ["repo__1"]})
    for folder in ("repo__1", "elsewhere"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "x.traj", trajectory())
    verdicts = pe.read([tmp_path / "repo__1/x.traj", tmp_path / "elsewhere/x.traj"]).traces["verdict"].to_list()
    assert verdicts == ["pass", None]
    write(report, {"resolved": True})  # of one instance, whichever
    assert pe.read(tmp_path / "repo__1/x.traj").traces["verdict"].to_list() == [None]


def test_the_bulk_of_a_trajectory_is_not_decoded(tmp_path: Path) -> None:
    source = write(tmp_path / "x.traj", trajectory(trajectory=[{"state": 0, "response": "I look."}, {"state": 0}]))
    huge = "1" * 5000  # digits: more than an integer may have for Python, were it decoded
    source.write_text(source.read_text(encoding="utf-8").replace('"state": 0', f'"state": {huge}'), encoding="utf-8")
    assert pe.read(source).turns.height == 2


def test_a_history_alone_is_a_trajectory(tmp_path: Path) -> None:
    tables = pe.read(write(tmp_path / "x.traj", {"history": HISTORY}))
    assert tables.traces["input"].to_list() == ["swe-agent"]
    assert tables.turns.height == 2


@pytest.mark.parametrize(
    ("report", "verdict"),
    [
        ({"repo__1": {"resolved": True}}, "pass"),
        ({"repo__1": {"resolved": False}}, "fail"),
        ({"resolved": True}, "pass"),
        ({"resolved": True, "instance_id": "repo__1"}, "pass"),
        ({"resolved": True, "instance_id": "other"}, None),
        ({"resolved_ids": ["repo__1"], "unresolved_ids": ["other"]}, "pass"),
        ({"resolved_ids": ["other"], "unresolved_ids": ["repo__1"]}, "fail"),
        ({"resolved_ids": ["other"]}, None),
        (None, None),
    ],
)
def test_the_verdict_stands_in_a_report_beside_it(report: Json | None, verdict: str | None, tmp_path: Path) -> None:
    source = write(tmp_path / "x.traj", trajectory())
    if report is not None:
        write(tmp_path / "report.json", report)
    trace = pe.read(source).traces.row(0, named=True)
    assert trace["verdict"] == verdict
    assert trace["score"] == (None if verdict is None else float(verdict == "pass"))


def test_a_damaged_report_is_an_error_that_names_it(tmp_path: Path) -> None:
    source = write(tmp_path / "x.traj", trajectory())
    (tmp_path / "report.json").write_text("{", encoding="utf-8")
    with pytest.raises(pe.BadRecordError, match=r"x\.traj: \$: expected JSON in .*report\.json beside it"):
        pe.read(source)


@pytest.mark.parametrize(
    ("history", "problem"),
    [
        ({}, r"\$\.history: expected an array of messages, found an object"),
        (["x"], r"\$\.history\[0\]: expected an object"),
        ([{"role": "robot", "agent": "main"}], r"\$\.history\[0\]\.role: expected one of system"),
        ([{"role": "user", "content": 3}], r"\$\.history\[0\]\.content: expected a string, an array of parts or null"),
    ],
)
def test_what_is_no_history_is_named(history: Any, problem: str, tmp_path: Path) -> None:  # noqa: ANN401 - anything
    source = write(tmp_path / "x.traj", trajectory(history))
    with pytest.raises(pe.BadRecordError, match=problem):
        pe.read(source)


VALID = ("x.traj", json.dumps(trajectory()).encode())


def test_other_kinds_are_not_taken() -> None:
    taken = dialects()["swe-agent"].matches_keys({"instance_id", "history", "test_result"})
    assert taken is None


SYSTEM_PROMPT = "You are a helpful assistant that can interact with a computer to solve tasks."


def as_xml(message: Json) -> str:
    """Write an assistant's message as the authors of SWE-smith did: its calls as XML behind the text."""
    text: str = message["content"]
    for call in message.get("tool_calls", []):
        function = call["function"]
        lines = [f"<function={function['name']}>"]
        for key, value in function["arguments"].items():
            shown = value if isinstance(value, str) else json.dumps(value)
            around = "\n" if key in {"file_text", "old_str", "new_str"} else ""
            lines.append(f"<parameter={key}>{around}{shown}{around}</parameter>")
        text += "\n\n" + "\n".join([*lines, "</function>"])
    return text


def test_the_messages_are_those_that_the_authors_of_swe_smith_trained_on() -> None:
    name = "pydantic__pydantic.acb0f10f.pr_8316"
    lines = real_file("swe_smith/ft_xml_example.jsonl").read_text(encoding="utf-8").splitlines()
    golden = next(line for line in map(json.loads, lines) if line["instance_id"] == name)
    # Their system message is one text for all trajectories; what it has behind the recorded one is their own.
    (theirs_for_all,) = {json.loads(line)["messages"][0]["content"] for line in lines}
    source = real_file(f"swe_smith/{name}.traj")
    pe.read(source)
    history = json.loads(source.read_text(encoding="utf-8"))["history"]
    assert len(golden["messages"]) == 45
    assert len(history) == 46  # the last one is an observation, which is trimmed
    made = messages_of(source)
    assert len(made) == 45
    for place, (mine, theirs) in enumerate(zip(made, golden["messages"], strict=True)):
        if place == 0:
            functions = theirs_for_all.removeprefix(SYSTEM_PROMPT)
            assert (theirs["role"], theirs["content"]) == ("system", mine["content"] + functions)
        elif mine["role"] == "assistant":
            assert (theirs["role"], theirs["content"]) == ("assistant", as_xml(mine)), place
        else:
            assert (theirs["role"], theirs["content"]) == ("user", mine["content"]), place


def messages_of(source: Path) -> list[Json]:
    import tempfile  # noqa: PLC0415 - the real file lies where nothing is written

    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.jsonl"
        pe.export(source, output, pe.ExportOptions("chatml", target="trl"))
        (line,) = output.read_text(encoding="utf-8").splitlines()
        messages: list[Json] = json.loads(line)["messages"]
        return messages


@pytest.mark.parametrize("name", ["pandas-dev__pandas.95280573.pr_53856", "pydantic__pydantic.acb0f10f.pr_8316"])
def test_real_trajectories_have_all_messages_calls_and_results(name: str, tmp_path: Path) -> None:
    source = real_file(f"swe_smith/{name}.traj")
    history: list[Json] = json.loads(source.read_text(encoding="utf-8"))["history"]
    calls = [call["id"] for item in history for call in item.get("tool_calls") or ()]
    answers = [item["tool_call_ids"][0] for item in history if item["role"] == "tool"]
    tables = pe.read(source)
    assert tables.traces["case_id"].to_list() == [name]
    assert [call["id"] for of_turn in tables.turns["tool_calls"] for call in of_turn] == calls
    assert [result["tool_call_id"] for of_turn in tables.turns["tool_results"] for result in of_turn] == answers
    others = sum(len(said) for said in [*tables.turns["preceding"], *tables.traces["closing"]])
    assert tables.turns.height + len(answers) + others == len(history)
    report = pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions("chatml", target="trl"))
    messages = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))["messages"]
    assert [each["role"] for each in messages] == [item["role"] for item in history[:-1]]
    assert report.dropped_content == {"tool results at the end": 1}  # what `submit` printed, trimmed
