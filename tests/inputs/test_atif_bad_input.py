"""Trajectories that are none: one clear line with the path, a count with --on-error skip, never a traceback."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.cli import main
from tests.faults.accounts import export
from tests.faults.mutations import damaged
from tests.inputs.trajectories import asked, call, note, result, step, trajectory, write

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]

SKIPS = pe.ExportOptions(format="chatml", target="trl", on_error="skip", missing_prompt="keep", overwrite=True)


def changed(**fields: object) -> Json:
    """Return a trajectory whose second step, the agent's, has other fields."""
    made = asked(step("agent", "a", result("b", "c1"), calls=[call()]))
    made["steps"][1].update(fields)
    return made


BAD: dict[str, tuple[Json, str]] = {
    "version": (
        asked(version="ATIF-v2.0"),
        '$.schema_version: expected ATIF-v1.0 to ATIF-v1.8, found the string "ATIF-v2',
    ),
    "version of a number": (
        {**asked(), "schema_version": 1},
        "$.schema_version: expected a string, found the number 1",
    ),
    "agent": ({**asked(), "agent": "me"}, '$.agent: expected an object, found the string "me"'),
    "steps": ({**asked(), "steps": {}}, "$.steps: expected an array, found an object"),
    "a step": ({**asked(), "steps": [3]}, "$.steps[0]: expected an object, found the number 3"),
    "no source": (
        {**asked(), "steps": [{"message": "x"}]},
        "$.steps[0].source: expected a string, found no such field",
    ),
    "source": (
        changed(source="robot"),
        '$.steps[1].source: expected one of system, user, agent, found the string "robot"',
    ),
    "message": (
        changed(message=7),
        "$.steps[1].message: expected a string, an array of parts or null, found the number 7",
    ),
    "part": (changed(message=["x"]), '$.steps[1].message[0]: expected an object, found the string "x"'),
    "text of a part": (
        changed(message=[{"type": "text"}]),
        "$.steps[1].message[0].text: expected a string, found no such",
    ),
    "reasoning": (
        changed(reasoning_content=[]),
        "$.steps[1].reasoning_content: expected a string or null, found an array",
    ),
    "calls": (changed(tool_calls={}), "$.steps[1].tool_calls: expected an array or null, found an object"),
    "a call": (
        changed(tool_calls=[{}]),
        "$.steps[1].tool_calls[0].function_name: expected a string, found no such field",
    ),
    "id of a call": (
        changed(tool_calls=[{"function_name": "f", "tool_call_id": []}]),
        "$.steps[1].tool_calls[0].tool_call_id: expected a string, an integer or null, found an array",
    ),
    "observation": (
        changed(observation="x"),
        '$.steps[1].observation: expected an object or null, found the string "x"',
    ),
    "results": (
        changed(observation={"results": "x"}),
        '$.steps[1].observation.results: expected an array or null, found the string "x"',
    ),
    "id of a result": (
        changed(observation={"results": [{"source_call_id": 1}]}),
        "$.steps[1].observation.results[0].source_call_id: expected a string or null, found the number 1",
    ),
    "copied": (changed(is_copied_context="yes"), "$.steps[1].is_copied_context: expected true or false or null"),
    "tools": (
        {**asked(), "agent": {"tool_definitions": {}}},
        "$.agent.tool_definitions: expected an array of function schemas, or JSON of one, found an object",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_trajectory_is_one_clear_line_or_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    made, complaint = BAD[name]
    source = write(tmp_path / "in/a/trajectory.json", made)
    write(tmp_path / "in/b/trajectory.json", asked())
    output = tmp_path / "out.jsonl"
    arguments = ["export", str(tmp_path / "in"), "--format", "chatml", "--target", "trl", "--output", str(output)]
    assert main(arguments) == 4
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert f"{source}: {complaint}" in error
    report = export(tmp_path / "in", output, SKIPS)
    assert (report.exported, report.dropped) == (1, {"invalid": 1})


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_trajectory_is_one_clear_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], share: float
) -> None:
    source = write(tmp_path / "trajectory.json", asked(*[step("agent", "x" * 100)] * 20))
    text = source.read_bytes()
    source.write_bytes(text[: int(len(text) * share)])
    output = str(tmp_path / "out.jsonl")
    assert main(["export", str(source), "--format", "chatml", "--target", "trl", "--output", output]) == 4
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert f"{source}: $: expected valid JSON, found text that is not" in error


def test_one_that_is_too_large_is_counted(tmp_path: Path) -> None:
    write(tmp_path / "in/large.json", asked(step("agent", "x" * 10_000)))
    write(tmp_path / "in/small.json", asked())
    options = pe.ExportOptions(format="chatml", target="trl", on_error="skip", max_record_bytes=5_000)
    report = export(tmp_path / "in", tmp_path / "out.jsonl", options)
    assert (report.exported, report.dropped) == (1, {"invalid": 1})


def test_damage_of_any_kind_ends_without_a_traceback_and_adds_up(tmp_path: Path) -> None:
    random, folder = Random(7), tmp_path / "in"  # noqa: S311 - seeded, for damage
    calls = [call(at=1), call("look", "c2", where={"a": [1, None]})]
    first = trajectory(
        step("system", "Be kind."),
        step("user", [{"type": "text", "text": "Hi"}, {"type": "image", "source": {"path": "a.png"}}]),
        step("agent", "a", result("1", "c1"), result("2", "c2"), calls=calls, reasoning_content="Hm."),
        step("agent", "b", result("$ "), metrics={"logprobs": [0.5], "completion_token_ids": [1]}),
        note("x.json"),
        continued_trajectory_ref="trajectory.cont-1.json",
    )
    later = trajectory(step("system", "Be kind.", is_copied_context=True), step("agent", "c", llm_call_count=0))
    outcome = {"task_name": "t", "trial_name": "t__1", "verifier_result": {"rewards": {"reward": 0.5, "b": 1}}}
    for number in range(400):
        agent = folder / f"{number:03d}/agent"
        agent.mkdir(parents=True)
        files = {"trajectory.json": first, "trajectory.cont-1.json": later, "../result.json": outcome}
        chosen = random.choice([*files, "trajectory.json"])
        for name, made in files.items():
            text = damaged(random, made) if name == chosen else json.dumps(made).encode()
            (agent / name).write_bytes(text)
    report = export(folder, tmp_path / "out.jsonl", SKIPS)
    assert 350 <= report.traces_read <= 450  # text that begins otherwise is no trajectory, and several lines are many
    assert report.exported > 150
    assert report.dropped["invalid"] > 50
