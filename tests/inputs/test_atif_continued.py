"""Trajectories that were continued in other files: one trace, whichever way the files are named."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.cli import main
from tests.inputs.trajectories import asked, call, dropped, note, read_messages, result, step, trajectory, write

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]

COPIED: Json = {"is_copied_context": True}


def texts(tables: pe.Tables) -> list[str]:
    (messages,) = read_messages(tables)
    return [message["text"] for message in messages]


def continued(folder: Path, *, version: str = "ATIF-v1.7", marks: bool = True) -> Path:
    """Write a trajectory of three parts; each begins with a copy of the first prompt."""
    flags: Json = COPIED if marks else {}
    prompt = step("user", "Do it.", **flags)
    steps = [step("user", "Do it."), step("agent", "one", result("$ 1")), note("trajectory.summary-1.json")]
    write(folder / "trajectory.json", trajectory(*steps, version=version, continued_trajectory_ref="elsewhere.json"))
    handoff = step("user", "Go on from 1.", **flags)
    more = [prompt, handoff, step("agent", "two", result("$ 2")), note("trajectory.summary-2.json")]
    write(folder / "trajectory.cont-1.json", trajectory(*more, version=version, continued_trajectory_ref="x.json"))
    last = [prompt, step("user", "Go on from 2.", **flags), step("agent", "three")]
    write(folder / "trajectory.cont-2.json", trajectory(*last, version=version))
    return folder


@pytest.mark.parametrize(("version", "marks"), [("ATIF-v1.7", True), ("ATIF-v1.4", False)])
def test_the_parts_are_one_conversation(tmp_path: Path, version: str, marks: bool) -> None:  # noqa: FBT001
    tables = pe.read(continued(tmp_path, version=version, marks=marks))
    assert texts(tables) == ["Do it.", "one", "$ 1", "Go on from 1.", "two", "$ 2", "Go on from 2.", "three"]
    assert dropped(tables) == {"subagents": 2, "notes about the context": 2, "copied messages": 2}
    assert tables.turns["context"].to_list() == [False] * 3


def test_a_copied_turn_that_is_there_is_dropped_with_its_results_and_another_is_context(tmp_path: Path) -> None:
    turn = step("agent", "one", result("1", "c1"), calls=[call(at=1)])
    write(tmp_path / "trajectory.json", asked(turn))
    other = step("agent", "one", result("2", "c1"), calls=[call(at=2)], **COPIED)
    steps = [step("user", "Do it.", **COPIED), {**turn, **COPIED}, other, step("agent", "Done.")]
    write(tmp_path / "trajectory.cont-1.json", trajectory(*steps))
    tables = pe.read(tmp_path)
    assert texts(tables) == ["Do it.", "one", "1", "one", "2", "Done."]
    assert tables.turns["context"].to_list() == [False, True, False]
    assert dropped(tables) == {"copied messages": 3}


def test_what_was_said_twice_and_copied_twice_is_there_twice(tmp_path: Path) -> None:
    write(tmp_path / "trajectory.json", asked(step("user", "Go."), step("agent", "a")))
    go = step("user", "Go.", **COPIED)
    write(tmp_path / "trajectory.cont-1.json", trajectory(go, go, step("agent", "b"), step("user", "Go.")))
    assert texts(pe.read(tmp_path)) == ["Do it.", "Go.", "a", "Go.", "b", "Go."]


def test_a_continuation_counts_once_whether_searched_or_named_and_is_read_alone_if_named_alone(tmp_path: Path) -> None:
    folder = continued(tmp_path / "in")
    first, second, third = (folder / f"trajectory{part}.json" for part in ("", ".cont-1", ".cont-2"))
    for sources in ([folder], [first], [first, second, third], [third, first], [str(folder / "*.json")]):
        report = pe.export(sources, tmp_path / "out.jsonl", pe.ExportOptions(format="chatml", target="trl"))
        assert (report.traces_read, report.skipped_files) == (1, {})
        assert len(texts(pe.read(sources))) == 8
    alone = pe.read(second)
    assert texts(alone) == ["Do it.", "Go on from 1.", "two", "$ 2"]
    assert dropped(alone) == {"subagents": 1, "notes about the context": 1, "continuations that are not there": 1}


def test_a_later_part_without_the_first_is_read_alone_in_a_search(tmp_path: Path) -> None:
    folder = continued(tmp_path)
    (folder / "trajectory.json").unlink()
    assert len(pe.read(folder).traces) == 2


def test_where_a_part_is_missing_that_is_counted_and_what_follows_is_read_alone(tmp_path: Path) -> None:
    folder = continued(tmp_path)
    (folder / "trajectory.cont-1.json").unlink()
    tables = pe.read(folder)
    assert [[of["text"] for of in messages] for messages in read_messages(tables)] == [
        ["Do it.", "Go on from 2.", "three"],
        ["Do it.", "one", "$ 1"],
    ]
    assert dropped(tables, 1) == {
        "subagents": 1, "notes about the context": 1, "continuations that are not there": 1
    }  # fmt: skip


def test_parts_may_be_compressed(tmp_path: Path) -> None:
    folder = continued(tmp_path)
    for path in sorted(folder.iterdir()):
        path.with_suffix(".json.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert len(texts(pe.read(folder))) == 8


def test_a_subagent_that_the_trajectory_names_is_passed_over_and_another_file_is_not(tmp_path: Path) -> None:
    folder = continued(tmp_path / "in")
    write(folder / "trajectory.summary-1.json", asked(step("agent", "a summary")))
    write(folder / "trajectory.summary-2.json", asked(step("agent", "a summary")))
    assert len(pe.read(folder).traces) == 1
    assert texts(pe.read(folder / "trajectory.summary-1.json"))[-1] == "a summary"
    write(folder / "trajectory.other.json", asked())
    assert len(pe.read(folder).traces) == 2


def test_a_file_that_is_called_like_a_part_and_is_none_is_named(tmp_path: Path) -> None:
    write(tmp_path / "in/trajectory.json", asked())
    write(tmp_path / "in/trajectory.cont-1.json", {"other": 1})
    output = tmp_path / "out.jsonl"
    arguments = ["export", str(tmp_path / "in"), "--format", "chatml", "--target", "trl", "--output", str(output)]
    assert main(arguments) == 4


def test_a_damaged_part_is_one_clear_line_or_counted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = continued(tmp_path / "in")
    part = folder / "trajectory.cont-2.json"
    part.write_bytes(part.read_bytes()[:-200])
    output = tmp_path / "out.jsonl"
    arguments = ["export", str(folder), "--format", "chatml", "--target", "trl", "--output", str(output)]
    assert main(arguments) == 4
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert f"{folder / 'trajectory.json'}: {part}: $: expected valid JSON, found text that is not" in error
    write(tmp_path / "in/good/trajectory.json", asked())
    report = pe.export(
        tmp_path / "in", output, pe.ExportOptions(format="chatml", target="trl", on_error="skip", overwrite=True)
    )
    assert (report.traces_read, report.exported, report.dropped) == (2, 1, {"invalid": 1})


def test_a_damaged_compressed_part_is_one_clear_line(tmp_path: Path) -> None:
    folder = continued(tmp_path)
    part = folder / "trajectory.cont-1.json"
    data = gzip.compress(part.read_bytes())
    (folder / "trajectory.cont-1.json.gz").write_bytes(data[: len(data) // 2])
    part.unlink()
    with pytest.raises(pe.BadRecordError, match=r"cont-1\.json\.gz: expected a file that can be read, found none"):
        pe.read(folder / "trajectory.json")


def test_a_part_that_is_larger_than_any_record_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polars_export.sources.side_file.read_side_file.__defaults__", (100,))
    with pytest.raises(pe.BadRecordError, match="expected at most 100 bytes, found more"):
        pe.read(continued(tmp_path) / "trajectory.json")


def test_beside_a_damaged_trajectory_that_names_no_subagents_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "trajectory.json").write_text('{"schema_version": "ATIF-v1.7", "agent": {}, "steps": [')
    write(tmp_path / "trajectory.helper.json", asked())
    options = pe.ExportOptions(format="chatml", target="trl", on_error="skip")
    report = pe.export(tmp_path, tmp_path.parent / f"{tmp_path.name}.jsonl", options)
    assert (report.exported, report.dropped) == (1, {"invalid": 1})
