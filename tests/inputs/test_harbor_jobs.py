"""Harbor's job folders: task, trial, rewards, model and error stand beside the trajectory."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.cli import main
from tests.inputs.trajectories import asked, job, read_messages, step, trial, write

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]

WANTED = ("case_id", "eval_set_id", "run", "score", "model_id", "error")
OPTIONS = pe.ExportOptions(format="chatml", target="trl")


def only(tables: pe.Tables) -> Json:
    (trace,) = tables.traces.to_dicts()
    return trace


def test_a_job_folder_is_read_and_nothing_in_it_is_named_as_skipped(tmp_path: Path) -> None:
    folder = job(tmp_path / "jobs/one")
    trial(folder, "task-a__1")
    trial(folder, "task-a__2", verifier_result={"rewards": {"reward": 0.0}})
    tables = pe.read(tmp_path / "jobs")
    assert tables.traces.select(WANTED).rows() == [
        ("task-a", "bench", "task-a__1", 1.0, "model", None),
        ("task-a", "bench", "task-a__2", 0.0, "model", None),
    ]
    report = pe.export(tmp_path / "jobs", tmp_path / "out.jsonl", OPTIONS)
    assert (report.traces_read, report.exported, report.skipped_files) == (2, 2, {})


def test_trials_of_one_task_make_a_pair_through_the_command_line(tmp_path: Path) -> None:
    folder = job(tmp_path / "one")
    trial(folder, "t__1", asked(step("agent", "bad")), verifier_result={"rewards": {"reward": 0}})
    trial(folder, "t__2", asked(step("agent", "good")))
    trial(folder, "t__3", asked(step("agent", "unscored")), verifier_result=None)
    output = tmp_path / "out.jsonl"
    assert main(["export", str(folder), "--format", "dpo", "--target", "trl", "--output", str(output)]) == 0
    pair = json.loads(output.read_text())
    assert [pair[side][0]["content"] for side in ("chosen", "rejected")] == ["good", "bad"]
    assert (pair["metadata"]["case_id"], pair["metadata"]["chosen_run"]) == ("t", "t__2")


def test_several_rewards_are_several_metrics_and_what_is_no_number_is_counted(tmp_path: Path) -> None:
    rewards = {"tests": 1, "style": 0.5, "speed": None, "nan": float("nan"), "passed": True}
    trial(tmp_path, verifier_result={"rewards": rewards})
    trace = only(pe.read(tmp_path))
    assert [(of["evaluator_name"], of["value"]) for of in trace["metrics"]] == [
        ("tests", 1.0), ("style", 0.5), ("passed", 1.0)
    ]  # fmt: skip
    assert trace["dropped"] == [{"kind": "scores that are no number", "count": 2}]


@pytest.mark.parametrize(
    ("files", "score"),
    [
        ({}, None),
        ({"reward.txt": "0.25\n"}, 0.25),
        ({"reward.txt": "0.25", "reward.json": '{"reward": 0.75}'}, 0.75),
        ({"reward.txt": ""}, None),
        ({"reward.txt": "nan"}, None),
        ({"reward.json": '{"a": NaN}'}, None),
    ],
)
def test_without_rewards_in_the_result_the_verifier_has_them(
    tmp_path: Path, files: dict[str, str], score: float | None
) -> None:
    folder = trial(tmp_path, verifier_result=None)
    for name, text in files.items():
        (folder / "verifier" / name).write_text(text)
    assert only(pe.read(tmp_path))["score"] == score


def test_a_crashed_trial_has_an_error_and_no_score(tmp_path: Path) -> None:
    crash = {"exception_type": "TimeoutError", "exception_message": "too slow", "exception_traceback": "…"}
    trial(tmp_path, verifier_result=None, exception_info=crash)
    trace = only(pe.read(tmp_path))
    assert (trace["score"], trace["error"]) == (None, "TimeoutError: too slow")


def test_the_steps_of_a_trial_are_cases_of_their_own(tmp_path: Path) -> None:
    crash = {"exception_type": "Boom", "exception_message": None}
    results = [
        {"step_name": "build", "verifier_result": {"rewards": {"reward": 1}}},
        {"step_name": "test", "exception_info": crash},
    ]
    folder = trial(tmp_path / "in", step_results=results)
    (folder / "agent/trajectory.json").unlink()
    for name in ("build", "test", "deploy"):
        write(folder / "steps" / name / "agent/trajectory.json", asked(step("agent", name)))
        write(folder / "steps" / name / "verifier/reward.json", {"reward": 0.5})
        write(folder / "steps" / name / "agent/log.json", [{"role": "user", "content": "x"}])
    report = pe.export(tmp_path / "in", tmp_path / "out.jsonl", OPTIONS)
    assert (report.traces_read, report.skipped_files) == (3, {})
    assert pe.read(tmp_path / "in").traces.select("case_id", "run", "score", "error").rows() == [
        ("task-a/build", "task-a__1", 1.0, None),
        ("task-a/deploy", "task-a__1", 0.5, None),
        ("task-a/test", "task-a__1", 0.5, "Boom"),
    ]


def test_a_trial_is_found_from_inside_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trial(tmp_path) / "agent")
    assert only(pe.read("trajectory.json"))["run"] == "task-a__1"
    assert only(pe.read("."))["run"] == "task-a__1"
    monkeypatch.chdir(tmp_path / "task-a__1")
    assert only(pe.read("agent/trajectory.json"))["score"] == 1.0


def test_names_that_are_no_utf_8_are_escaped(tmp_path: Path) -> None:
    folder = trial(tmp_path / os.fsdecode(b"\xff"))
    subagent = write(folder / "agent" / os.fsdecode(b"trajectory.\xfe.json"), asked())
    assert only(pe.read(subagent))["run"] == "task-a__1/trajectory.\\udcfe.json"
    (folder / "result.json").write_text("{")
    with pytest.raises(pe.BadRecordError, match=r"result\.json: \$: expected valid JSON"):
        pe.read(tmp_path)
    options = pe.ExportOptions(format="chatml", target="trl", on_error="skip")
    with pytest.raises(pe.NothingToExportError):
        pe.export(tmp_path, tmp_path.parent / "out.jsonl", options)


def test_a_trajectory_outside_a_job_is_a_case_of_its_own_without_a_score(tmp_path: Path) -> None:
    path = write(tmp_path / "agent/trajectory.json", asked())
    write(tmp_path / "result.json", {"something": "else"})
    assert only(pe.read(path))["case_id"] == f"{path}@0"
    assert pe.read(path).traces.select("run", "score", "eval_set_id", "model_id").rows() == [
        (None, None, None, "maker/model")
    ]


def test_a_continued_trajectory_of_a_trial_has_its_score_and_a_subagent_has_none(tmp_path: Path) -> None:
    folder = trial(tmp_path)
    later = write(folder / "agent/trajectory.cont-1.json", asked(step("agent", "later")))
    subagent = write(folder / "agent/trajectory.helper.json", asked(step("agent", "helped")))
    (messages,) = read_messages(pe.read(tmp_path))
    assert [of["text"] for of in messages] == ["Do it.", "Done.", "later"]
    assert only(pe.read(later))["score"] == 1.0
    trace = only(pe.read(subagent))
    assert (trace["case_id"], trace["run"], trace["score"]) == ("task-a", "task-a__1/trajectory.helper.json", None)


def test_what_belongs_to_no_trajectory_is_named(tmp_path: Path) -> None:
    folder = trial(tmp_path / "in/job")
    (folder / "agent/trajectory.json").unlink()
    write(tmp_path / "in/other/trajectory.json", asked())
    report = pe.export(tmp_path / "in", tmp_path / "out.jsonl", OPTIONS)
    assert report.traces_read == 2  # that of the log, which nothing is made of
    skipped = {path.removeprefix(f"{folder}/"): problem for path, problem in report.skipped_files.items()}
    assert "the result of a Harbor trial holds no traces" in skipped["result.json"]
    assert sorted(skipped) == [
        "artifacts/manifest.json",
        "config.json",
        "lock.json",
        "result.json",
        "verifier/ctrf.json",
    ]


def test_where_only_what_belongs_to_others_is_searched_the_error_says_so(tmp_path: Path) -> None:
    folder = trial(tmp_path)
    with pytest.raises(pe.SourceError, match="belongs to traces that were not searched; name the file"):
        pe.read(folder / "verifier")
    with pytest.raises(pe.SourceError, match="the result of a Harbor trial holds no traces; export the folder"):
        pe.read(folder / "result.json")
    with pytest.raises(
        pe.SourceError, match="the result of a Harbor job holds no traces; export the folder of the job"
    ):
        pe.read(job(tmp_path / "job") / "result.json")
    assert len(pe.read(folder / "agent/session.jsonl").traces) == 1


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("result.json", '{"task_name": ', "$: expected valid JSON, found text that is not"),
        ("result.json", "[]", "$: expected an object, found an array"),
        ("result.json", '{"task_name": 3}', "$.task_name: expected a string or null, found the number 3"),
        (
            "result.json",
            '{"task_name": "a", "trial_name": "t", "verifier_result": {"rewards": [1]}}',
            "$.verifier_result.rewards: expected an object or null, found an array",
        ),
        (
            "result.json",
            '{"task_name": "a", "trial_name": "t", "verifier_result": {"rewards": {"r": "much"}}}',
            '$.verifier_result.rewards.r: expected a number or null, found the string "much"',
        ),
        ("verifier/reward.txt", "much", 'expected a number, found the string "much"'),
        ("verifier/reward.json", "[1]", "$: expected an object of numbers, found an array"),
    ],
)
def test_a_damaged_file_beside_the_trajectory_is_one_clear_line_or_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, text: str, complaint: str
) -> None:
    folder = trial(tmp_path / "in", verifier_result=None)
    trial(tmp_path / "in", "task-b__1")
    (folder / name).write_text(text)
    output = tmp_path / "out.jsonl"
    arguments = ["export", str(tmp_path / "in"), "--format", "chatml", "--target", "trl", "--output", str(output)]
    assert main(arguments) == 4
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert f"{folder / 'agent/trajectory.json'}: {folder / name}: {complaint}" in error
    assert main([*arguments, "--on-error", "skip"]) == 0
    assert len(output.read_text().splitlines()) == 1
