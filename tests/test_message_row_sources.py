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
    assert pe.read(source).turns["text"].to_list() == ["Hi."]


@pytest.mark.parametrize("field", sorted(USUAL_FIELDS))
def test_a_first_row_may_be_without_messages(field: str, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "rows.jsonl", {field: []}, row(field=field))
    traces = pe.read_traces(source)
    assert traces["turns"].to_list() == [0, 1]
    options = pe.ExportOptions("chatml", target="trl", missing_prompt="skip")
    report = pe.export(source, tmp_path / "out.jsonl", options)
    assert (report.exported, report.dropped) == (1, {"missing_prompt": 1})


def test_rows_without_a_case_are_cases_of_their_own_wherever_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", 200)
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        write_lines(folder / "rows.jsonl", *(row(score=number / 10) for number in range(5)))
    monkeypatch.setattr(conductor, "_LEAST_FOR_PROCESSES", 0)
    for workers in (1, 2):
        output = tmp_path / f"{workers}.jsonl"
        pe.export(folders, output, pe.ExportOptions("chatml", target="trl", workers=workers))
    cases = [record["metadata"]["case_id"] for record in read_lines(tmp_path / "1.jsonl")]
    assert (tmp_path / "1.jsonl").read_bytes() == (tmp_path / "2.jsonl").read_bytes()
    assert cases == pe.read_traces(folders)["case_id"].to_list()
    assert len(set(cases)) == 10
    length = len(json.dumps(row(score=0.1))) + 1
    assert cases[:2] == [f"{folders[0]}/rows.jsonl@0", f"{folders[0]}/rows.jsonl@{length}"]
    with pytest.raises(pe.NothingToExportError, match="10 single_run"):
        pe.export(folders, tmp_path / "out.jsonl", pe.ExportOptions("dpo", target="trl"))


ROLES = "system, developer, user, human, assistant, gpt, function_call, tool, function, ipython, observation"
MESSAGES = [ASKED, {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "name": "f", "arguments": {}}]}]
BAD: dict[str, tuple[Json, str]] = {
    "no field": ({"messages": ...}, "$.messages: expected an array of messages, found no such field"),
    "null": ({"messages": None}, "$.messages: expected an array of messages, found null"),
    "text": ({"messages": "x"}, '$.messages: expected an array of messages, found the string "x"'),
    "no object": ({"messages": [ASKED, 3]}, "$.messages[1]: expected an object, found the number 3"),
    "role": (
        {"messages": [ASKED, ASKED, ASKED, {"role": "narrator"}]},
        (
            f"$.messages[3].role: expected one of {ROLES}, or one that is named (--map roles.NAME=ROLE), "
            'found the string "narrator"'
        ),
    ),
    "role null": ({"messages": [{"role": None}]}, "$.messages[0].role: expected one of system"),
    "no role": ({"messages": [{"content": ""}]}, "found no such field"),
    "from": ({"messages": [{"from": "bard", "value": ""}]}, "$.messages[0].from: expected one of system"),
    "content": ({"messages": [{**ASKED, "content": 3}]}, "$.messages[0].content: expected a string, an array of parts"),
    "value": ({"messages": [{"from": "gpt", "value": {}}]}, "$.messages[0].value: expected a string, an array of"),
    "part": ({"messages": [{**ASKED, "content": ["x"]}]}, "$.messages[0].content[0]: expected an object, found the s"),
    "part type": ({"messages": [{**ASKED, "content": [{}]}]}, "$.messages[0].content[0].type: expected a string"),
    "part text": (
        {"messages": [{**ASKED, "content": [{"type": "text", "text": 1}]}]},
        "$.messages[0].content[0].text: expected a string, found the number 1",
    ),
    "calls": (
        {"messages": [{"role": "assistant", "tool_calls": {}}]},
        "$.messages[0].tool_calls: expected an array of tool calls or null, found an object",
    ),
    "call": (
        {"messages": [{"role": "assistant", "tool_calls": ["x"]}]},
        '$.messages[0].tool_calls[0]: expected a tool call, found the string "x"',
    ),
    "call name": (
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": {}}}]}]},
        "$.messages[0].tool_calls[0].function.name: expected a string, found no such field",
    ),
    "call id": (
        {"messages": [{"role": "assistant", "tool_calls": [{"name": "f", "id": []}]}]},
        "$.messages[0].tool_calls[0].id: expected a string, an integer or null, found an array",
    ),
    "use name": (
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "name": 1}]}]},
        "$.messages[0].content[0].name: expected a string, found the number 1",
    ),
    "function call": (
        {"messages": [{"from": "function_call", "value": "look()"}]},
        '$.messages[0].value: expected a tool call, found the string "look()"',
    ),
    "result id": ({"messages": [{"role": "tool", "tool_call_id": {}}]}, "$.messages[0].tool_call_id: expected a str"),
    "name": ({"messages": [{**ASKED, "name": 1}]}, "$.messages[0].name: expected a string or null, found the number 1"),
    "score text": ({"reward": "1"}, '$.reward: expected a number or null, found the string "1"'),
    "score bool": ({"reward": True}, "$.reward: expected a number or null, found true"),
    "score nan": ({"reward": float("nan")}, "$.reward: expected a number or null, found NaN"),
    "score inf": ({"reward": float("-inf")}, "$.reward: expected a number or null, found a number too large"),
    "score large": ({"reward": 10**400}, "$.reward: expected a number or null, found a number too large"),
    "nan elsewhere": ({"note": float("nan")}, "$: expected a JSON value on one line, found text that is not"),
    "scores": (
        {"score": 1, "reward": 1},
        "one field for the score (say which: --map score=score or --map score=reward), found score and reward",
    ),
    "cases": ({"instance_id": "b"}, "(say which: --map case=task_id or --map case=instance_id), found task_id and ins"),
    "runs": ({"trial": 1, "run_id": 1}, "(say which: --map run=trial or --map run=run_id), found trial and run_id"),
    "case": ({"task_id": 1.5}, "$.task_id: expected a string, an integer or null, found the number 1.5"),
    "run": ({"trial": []}, "$.trial: expected a string, an integer or null, found an array"),
    "model": ({"model": {"name": "m"}}, "$.model: expected a string or null, found an object"),
    "tools": ({"tools": {"a": 1}}, "$.tools: expected an array of function schemas, or JSON of one, found an object"),
    "tool": ({"tools": ["bash"]}, '$.tools[0]: expected a function schema, found the string "bash"'),
    "tool kind": (
        {"tools": [{"type": "web_search"}]},
        "$.tools[0]: expected a function schema (`function`, or `name`)",
    ),
    "tool name": ({"tools": [{"function": {}}]}, "$.tools[0].function.name: expected a string, found no such field"),
}


def bad_row(name: str) -> Json:
    fields = {"task_id": 1, "messages": MESSAGES, **BAD[name][0]}
    return {key: value for key, value in fields.items() if value is not ...}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("format_name", ["chatml", "dpo"])
def test_a_bad_row_is_named_by_its_line_and_path(name: str, format_name: str, tmp_path: Path) -> None:
    source = write_lines(
        tmp_path / "rows.jsonl", row("good", task_id=1, reward=1), bad_row(name), row("bad", task_id=1, reward=0)
    )
    with pytest.raises(pe.BadRecordError) as caught:
        pe.read(source)
    assert str(caught.value).startswith(f"{source}:2: $")
    assert BAD[name][1] in str(caught.value)
    output = tmp_path / "out.jsonl"
    report = pe.export(source, output, pe.ExportOptions(format_name, target="trl", on_error="skip"))
    assert dict(report.dropped)["invalid"] == 1
    assert (report.traces_read, report.exported) == (3, 2)


@pytest.mark.parametrize("line", [b"[1]", b"3", b'{"messages": [', b'{"messages": [{"role": "\xff"}]}', b"{" * 3000])
def test_a_line_that_is_no_row_is_named_by_its_number(line: bytes, tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    source.write_bytes(json.dumps(row()).encode() + b"\n" + line + b"\n")
    with pytest.raises(pe.BadRecordError, match=r"rows\.jsonl:2: \$: expected "):
        pe.read(source)


def test_an_ambiguous_first_row_is_an_error_that_names_the_option(tmp_path: Path) -> None:
    lists = {"said": [ASKED], "thought": [{"role": "assistant", "content": "Hi."}]}
    source = write_lines(tmp_path / "rows.jsonl", lists)
    message = (
        r"rows\.jsonl: expected one field with messages, found said and thought; say which "
        r"\(--map messages=said or --map messages=thought\)"
    )
    for sources in (source, tmp_path):
        with pytest.raises(pe.SourceError, match=message):
            pe.read(sources)


def test_pairs_and_records_of_an_export_are_no_rows(tmp_path: Path) -> None:
    answer = [{"role": "assistant", "content": "Hi."}]
    pair = {"prompt": [ASKED], "chosen": answer, "rejected": answer}
    for record in (pair, exported_record(), row(metadata={"case_id": "a", "score": 1})):
        with pytest.raises(pe.SourceError, match="the records of an export hold no traces"):
            pe.read(write_lines(tmp_path / "records.jsonl", record))
    assert len(pe.read(write_lines(tmp_path / "rows.jsonl", row(metadata={"note": 1})))) == 1


def test_a_document_may_be_one_row(tmp_path: Path) -> None:
    source = tmp_path / "rows.json"
    source.write_text(json.dumps(row(), indent=2), encoding="utf-8")
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
