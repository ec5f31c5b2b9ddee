"""Files of rows with messages: recognised by content, exported, and refused with the line and the path."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.cli import main
from polars_export.execution import conductor
from polars_export.inputs.message_rows.recognise import USUAL_FIELDS
from polars_export.sources import segments
from tests.builders import case_result, exported_record, turn, write_document, write_lines
from tests.faults.accounts import zstd

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]

ASKED = {"role": "user", "content": "Hello?"}


def row(text: str = "Hi.", field: str = "messages", **fields: object) -> Json:
    return {**fields, field: [ASKED, {"role": "assistant", "content": text}]}


def read_lines(path: Path) -> list[Json]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_rows_become_chatml_through_the_command_line(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": "sky"}'}}
    messages = [
        {"role": "system", "content": "Be kind."},
        ASKED,
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning": "hm"},
        {"role": "tool", "tool_call_id": "c1", "content": "blue"},
        {"role": "assistant", "content": "The sky is blue."},
        {"role": "user", "content": "Thanks."},
    ]
    source = write_lines(tmp_path / "rows.jsonl", {"task_id": 3, "trial": 1, "traj": messages, "reward": 0.5})
    output = tmp_path / "out.jsonl"
    assert run("export", source, "--format", "chatml", "--target", "trl", "--output", output) == 0
    made = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": {"at": "sky"}}}
    assert read_lines(output) == [
        {
            "messages": [
                {"role": "system", "content": "Be kind."},
                ASKED,
                {"role": "assistant", "content": "", "reasoning_content": "hm", "tool_calls": [made]},
                {"role": "tool", "content": "blue", "tool_call_id": "c1", "name": "look"},
                {"role": "assistant", "content": "The sky is blue."},
            ],
            "metadata": {
                "case_id": "3", "eval_set_id": None, "run": "1", "score": 0.5, "model_id": None, "turns": 2,
            },
        }
    ]  # fmt: skip


def test_runs_of_one_task_become_pairs_through_the_command_line(tmp_path: Path) -> None:
    runs = [row("bad", task_id="a", trial=0, reward=-1), row("b", task_id="b"), row("good", task_id="a", reward=1.5)]
    source = write_lines(tmp_path / "rows.jsonl", *runs, row("unscored", task_id="a", reward=None))
    output = tmp_path / "out.jsonl"
    assert run("export", source, "--format", "dpo", "--target", "trl", "--output", output) == 0
    (pair,) = read_lines(output)
    assert pair["prompt"] == [ASKED]
    assert [pair[side][0]["content"] for side in ("chosen", "rejected")] == ["good", "bad"]
    assert pair["metadata"]["chosen_score"] == 1.5


def test_a_folder_may_hold_eval_results_and_rows(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_document(folder / "a.json", case_result("a", turn("A.")))
    write_lines(folder / "b.jsonl", row("B.", "trajectory", instance_id="b", score=0.1))
    (folder / "c.jsonl.zst").write_bytes(zstd(json.dumps(row("C.", "conversations")).encode()))
    write_lines(folder / "d.jsonl", *[exported_record()] * 2)
    output = tmp_path / "out.jsonl"
    report = pe.export(folder, output, pe.ExportOptions("chatml", target="trl", missing_prompt="keep"))
    assert [record["messages"][-1]["content"] for record in read_lines(output)] == ["A.", "B.", "C."]
    assert report.skipped_files == {str(folder / "d.jsonl"): "the records of an export hold no traces"}
    assert pe.read_traces(folder)["input"].to_list() == ["eval-results", "message-rows", "message-rows"]


@pytest.mark.parametrize("field", [*sorted(USUAL_FIELDS), "what was said"])
def test_the_messages_may_stand_in_any_field(field: str, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "rows.jsonl", row(field=field, note=[{"a": 1}], numbers=[1], labels=["role"]))
    lines = write_lines(tmp_path / "rows.jsonl", row())
    assert pe.read(source).turns["text"].to_list() == pe.read(lines).turns["text"].to_list()


def test_a_first_line_that_is_no_row_costs_no_other(tmp_path: Path) -> None:
    for first in (b"hello\n", b'{"messages": [\n', b'{"header": 1}\n'):
        source = tmp_path / "rows.jsonl"
        source.write_bytes(first + json.dumps(row()).encode() + b"\n")
        report = pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions("chatml", target="trl", on_error="skip"))
        assert (report.traces_read, report.exported) == (2, 1)
        with pytest.raises(pe.InputError):
            pe.read(source)


def test_a_row_that_is_too_large_is_set_aside(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "rows.jsonl", row(), row("x" * 3_000), row())
    options = pe.ExportOptions("chatml", target="trl", on_error="skip", max_record_bytes=1_000)
    report = pe.export(source, tmp_path / "out.jsonl", options)
    assert (report.traces_read, report.exported) == (3, 2)


def test_what_selection_does_not_need_is_not_checked(tmp_path: Path) -> None:
    bad = {"messages": [ASKED, {"role": "assistant", "content": 3}], "reward": 0, "model": 3}
    source = write_lines(tmp_path / "rows.jsonl", *[row(reward=0)] * 3, bad, row(reward=1))
    report = pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions("chatml", quality_threshold=0.5, target="trl"))
    assert (report.exported, report.dropped) == (1, {"below_threshold": 4})
