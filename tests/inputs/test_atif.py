"""ATIF trajectories: what each version may hold becomes messages in order, and what has no place is counted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.cli import main
from polars_export.inputs.atif import DIALECT
from tests.builders import case_result, write_lines
from tests.inputs.trajectories import (
    AGENT,
    REAL,
    TOOL,
    VERSIONS,
    asked,
    call,
    dropped,
    plain_messages,
    read_messages,
    real_files,
    result,
    step,
    trajectory,
    write,
)

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]


def read(folder: Path, made: Json) -> pe.Tables:
    return pe.read(write(folder / "trajectory.json", made))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_is_read(tmp_path: Path, version: str) -> None:
    steps = [
        step("system", "Be kind."),
        step("user", "Look."),
        step("agent", "Looking.", result("blue", "c1"), calls=[call("look", at="sky")], reasoning_content="Hm."),
        step("system", "One minute is left."),
        step("agent", "The sky is blue.", model_name="other"),
    ]
    tables = read(tmp_path, trajectory(*steps, version=version, agent={**AGENT, "tool_definitions": [TOOL]}))
    assert read_messages(tables) == [
        [
            {"role": "system", "text": "Be kind."},
            {"role": "user", "text": "Look."},
            {"role": "assistant", "text": "Looking.", "calls": [("look", {"at": "sky"})]},
            {"role": "tool", "text": "blue"},
            {"role": "system", "text": "One minute is left."},
            {"role": "assistant", "text": "The sky is blue.", "calls": []},
        ]
    ]
    assert tables.turns["reasoning"].to_list() == ["Hm.", None]
    trace = tables.traces.to_dicts()[0]
    assert (trace["input"], trace["model_id"], trace["score"], trace["run"]) == ("atif", "maker/model", None, None)
    assert [json.loads(tool) for tool in trace["tools"]] == [TOOL]
    assert trace["case_id"] == f"{tmp_path / 'trajectory.json'}@0"
    assert trace["dropped"] == []


def test_a_terminal_speaks_as_the_user_before_the_next_turn(tmp_path: Path) -> None:
    tables = read(tmp_path, asked(step("agent", "ls", result("a b")), step("agent", "Done.", result("$"))))
    assert read_messages(tables)[0][1:] == [
        {"role": "assistant", "text": "ls", "calls": []},
        {"role": "user", "text": "a b"},
        {"role": "assistant", "text": "Done.", "calls": []},
        {"role": "user", "text": "$"},
    ]


def test_results_without_an_id_answer_the_calls_that_no_id_names(tmp_path: Path) -> None:
    calls = [call(call_id="a"), call(call_id="b"), call(call_id="c")]
    results = [result("1"), result("2", "b"), result("3"), result("4")]
    tables = read(tmp_path, asked(step("agent", "", *results, calls=calls)))
    turn = tables.turns.to_dicts()[0]
    assert [of["text"] for of in turn["tool_results"]] == ["1", "2", "3"]
    assert turn["orphan_results"] == 1


def test_what_a_system_step_observes_is_said_by_the_user_and_answers_no_call(tmp_path: Path) -> None:
    steps = [step("agent", "", calls=[call()]), step("system", "Rebooted.", result("$ ")), step("agent", "Done.")]
    assert read_messages(read(tmp_path, asked(*steps)))[0][2:] == [
        {"role": "system", "text": "Rebooted."},
        {"role": "user", "text": "$ "},
        {"role": "assistant", "text": "Done.", "calls": []},
    ]


def test_content_may_be_parts_and_media_are_counted(tmp_path: Path) -> None:
    image = {"type": "image", "source": {"media_type": "image/png", "path": "a.png"}}
    audio = {"type": "audio", "source": {"media_type": "audio/wav", "path": "a.wav"}}
    text = [{"type": "text", "text": "see "}, image, {"type": "text", "text": "this"}]
    steps = [step("agent", text, result([{"type": "text", "text": "seen"}, audio, image], "c1"), calls=[call()])]
    tables = read(tmp_path, asked(*steps))
    turn = tables.turns.to_dicts()[0]
    assert (turn["text"], turn["tool_results"][0]["text"]) == ("see this", "seen")
    assert (turn["image_blocks"], turn["unknown_blocks"]) == (2, 1)
    alone = read(tmp_path, trajectory(step("user", [image, audio])))
    assert dropped(alone) == {"images": 1, "parts of other kinds": 1}


def test_without_turns_results_are_counted_too(tmp_path: Path) -> None:
    tables = read(tmp_path, trajectory(step("user", "Do it."), step("system", "", result("lost", "c1"))))
    assert tables.traces["closing"][0].to_list() == [{"role": "user", "content": "Do it.", "name": None}]
    assert dropped(tables) == {"results of no call": 1}


def test_copied_steps_and_dispatches_without_a_model_are_context(tmp_path: Path) -> None:
    steps = [
        step("agent", "earlier", is_copied_context=True),
        step("agent", "now"),
        step("agent", "", result("made", "c1"), calls=[call()], llm_call_count=0),
    ]
    assert read(tmp_path, asked(*steps)).turns["context"].to_list() == [True, False, True]


def test_token_ids_subagents_and_notes_are_counted(tmp_path: Path) -> None:
    embedded = [asked(trajectory_id="one"), asked(trajectory_id="two")]
    steps = [
        step("agent", "a", metrics={"prompt_tokens": 3, "completion_token_ids": [1, 2], "logprobs": [-0.5]}),
        step("agent", "b", metrics={"completion_token_ids": None, "prompt_token_ids": []}),
        step("agent", "c", result("ok", "c1", subagent_trajectory_ref=[{"trajectory_id": "one"}]), calls=[call()]),
        step("system", "Compacted.", extra={"context_management": {"type": "compaction"}}),
        step("system", "Not a note.", extra={"other": 1}),
    ]
    tables = read(tmp_path, asked(*steps, subagent_trajectories=embedded))
    assert dropped(tables) == {
        "lists of token ids": 1,
        "lists of log probabilities": 1,
        "subagents": 2,
        "notes about the context": 1,
    }
    assert read_messages(tables)[0][-1] == {"role": "system", "text": "Not a note."}


def test_numbers_that_are_none_hide_no_trajectory(tmp_path: Path) -> None:
    made = asked(step("agent", "a", metrics={"logprobs": [float("nan")], "completion_token_ids": [1]}))
    tables = read(tmp_path, {**made, "final_metrics": {"total_cost_usd": float("inf")}})
    assert read_messages(tables)[0][-1]["text"] == "a"
    assert dropped(tables) == {"lists of token ids": 1, "lists of log probabilities": 1}


def test_everything_is_in_the_tables_or_counted(tmp_path: Path) -> None:
    steps = [
        step("agent", "a", result("1", "c1"), result("x", "unknown"), calls=[call(), call(call_id="c2")]),
        step("user", "b", calls=[call()]),
        step("agent", "c", result("2", "c2")),
        step("agent", "d", result("3")),
    ]
    tables = read(tmp_path, asked(*steps))
    turns = tables.turns.to_dicts()
    assert sum(len(of["tool_results"]) + of["orphan_results"] for of in turns) + 1 == 4  # one is the user's message
    assert sum(len(of["tool_calls"]) for of in turns) + dropped(tables)["calls of others than the agent"] == 3
    assert sum(map(len, read_messages(tables))) == len(steps) + 1 + 3


def test_lines_and_arrays_of_trajectories_are_read(tmp_path: Path) -> None:
    made = [asked(step("agent", text), version=version) for text, version in (("a", "ATIF-v1.0"), ("b", "ATIF-v1.7"))]
    lines = write_lines(tmp_path / "many.jsonl", *made)
    array = write(tmp_path / "many.json", made)
    for source in (lines, array):
        assert read_messages(pe.read(source)) == [plain_messages(of) for of in made]
    assert len(set(pe.read(lines).traces["case_id"])) == 2


def test_export_to_chatml_through_the_command_line(tmp_path: Path) -> None:
    steps = [step("agent", "", result("blue", "c1"), calls=[call("look", at="sky")]), step("agent", "Blue.")]
    source = write(tmp_path / "in/trajectory.json", asked(*steps))
    output = tmp_path / "out.jsonl"
    assert main(["export", str(source), "--format", "chatml", "--target", "trl", "--output", str(output)]) == 0
    made = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": {"at": "sky"}}}
    assert json.loads(output.read_text())["messages"] == [
        {"role": "user", "content": "Do it."},
        {"role": "assistant", "content": "", "tool_calls": [made]},
        {"role": "tool", "content": "blue", "tool_call_id": "c1", "name": "look"},
        {"role": "assistant", "content": "Blue."},
    ]


def test_other_documents_are_not_taken(tmp_path: Path) -> None:
    write(tmp_path / "in/report.json", {"schema_version": 1, "cases": []})
    write(tmp_path / "in/workflow.json", {"schema_version": "1", "steps": []})
    write_lines(tmp_path / "in/results.jsonl", case_result())
    report = pe.export(tmp_path / "in", tmp_path / "out.jsonl", pe.ExportOptions(format="chatml"))
    assert report.traces_read == 1
    assert [path.rpartition("/")[2] for path in report.skipped_files] == ["report.json", "workflow.json"]


@pytest.mark.parametrize(
    "keys",
    [
        {"eval_set_id", "case_results"},
        {"schema_version", "cases"},
        {"messages", "task_id", "agent"},
        {"history", "trajectory", "info"},
        {"info", "simulations", "tasks"},
        {"trajectory_format", "messages", "info"},
        {"schema_version", "task", "agent", "environment", "verifier"},
    ],
)
def test_the_keys_of_others_are_not_taken(keys: set[str]) -> None:
    assert DIALECT.matches_keys(keys) is None
    assert DIALECT.matches_record(dict.fromkeys(keys, "ATIF-v1.0")) is None
    assert DIALECT.matches_record({"schema_version": "1.0", "agent": {}, "steps": []}) is None


@real_files
def test_real_files_are_read_whole_and_in_order() -> None:
    for path in sorted(REAL.glob("*.json")):
        if "linear-history.trajectory.json" not in path.name:  # which goes on in another file
            made = json.loads(path.read_text(encoding="utf-8"))
            assert read_messages(pe.read(path)) == [plain_messages(made)]
            assert dropped(pe.read(path)) == {}


@real_files
def test_the_real_continued_trajectory_is_one_conversation() -> None:
    (first,) = REAL.glob("*linear-history.trajectory.json")
    (second,) = REAL.glob("*linear-history.trajectory.cont-1.json")
    beginning, rest = (plain_messages(json.loads(path.read_text(encoding="utf-8"))) for path in (first, second))
    tables = pe.read(first)
    assert beginning[0] == rest[0]
    assert read_messages(tables) == [[*beginning[:-1], *rest[1:]]]
    assert dropped(tables) == {"notes about the context": 1, "subagents": 3, "copied messages": 1}
    texts = tables.turns.filter(tables.turns["context"])["text"].to_list()
    assert texts == [of["text"] for of in rest if of["text"].startswith("I have the following questions")]
    assert read_messages(pe.read(second)) == [rest]
    assert len(pe.read(REAL).traces) == 3
    assert len(pe.read([first, second]).traces) == 1
