"""Rows in arrays, documents and lines whose fields the user maps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.cli import main
from tests.builders import write_lines

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]
ASKED = {"role": "user", "content": "Hello?"}
ANSWERED = {"role": "assistant", "content": "Hi."}


def row(number: int = 0, **fields: object) -> Json:
    return {"id": f"case-{number}", "reward": number / 2, "messages": [ASKED, ANSWERED], **fields}


def read(source: Path, *texts: str, **options: Any) -> pe.Tables:  # noqa: ANN401 - options
    return pe.read(source, pe.InputOptions(map=list(texts) or None, **options))


def write(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_an_array_is_rows(tmp_path: Path) -> None:
    tables = read(write(tmp_path / "rows.json", [row(0), row(1)]), "case=id")
    assert tables.traces["case_id"].to_list() == ["case-0", "case-1"]
    assert tables.traces["score"].to_list() == [0.0, 0.5]
    assert tables.traces["position"].to_list() == [0, 1]
    assert tables.traces["input"].to_list() == ["message-rows"] * 2
    assert tables.turns["text"].to_list() == ["Hi.", "Hi."]


@pytest.mark.parametrize("each", ["runs[*]", "deep.runs[*]", "[*]"])
def test_each_names_the_array_in_a_document(each: str, tmp_path: Path) -> None:
    rows = [row(0), row(1)]
    document: Any = {"info": {"runs": []}, "runs": rows, "deep": {"note": 1, "runs": rows}, "end": [1]}
    source = write(tmp_path / "document.json", rows if each == "[*]" else document)
    tables = read(source, f"each={each}", "case=id")
    assert tables.traces["case_id"].to_list() == ["case-0", "case-1"]


def test_fields_of_every_key(tmp_path: Path) -> None:
    tool = {"type": "function", "function": {"name": "look"}}
    line = {
        "said": json.dumps([ASKED, ANSWERED]),
        "meta": json.dumps({"name": 7, "model": "m", "size": 3.5, "easy": True, "list": [1]}),
        "outcome": "yes",
        "set": "airline",
        "rules": "Be kind.",
        "functions": json.dumps([tool]),
        "crash": {"kind": "timeout"},
        "trial": 2,
    }
    mapping = {
        "messages": "said",
        "case": "meta.name",
        "eval_set": "set",
        "run": "trial",
        "model": "meta.model",
        "system": "rules",
        "tools": "functions",
        "error": "crash",
        "verdict": {"path": "outcome", "pass": ["yes"], "fail": ["no"]},
        "extra": {
            "size": {"path": "meta.size", "type": "number"},
            "easy": {"path": "meta.easy", "type": "boolean"},
            "list": "meta.list",
            "gone": "meta",
        },
    }
    tables = pe.read(write_lines(tmp_path / "rows.jsonl", line), pe.InputOptions(map=mapping))
    (trace,) = tables.traces.select(
        "case_id", "eval_set_id", "run", "model_id", "verdict", "score", "error", "system_messages"
    ).rows()
    assert trace == ("7", "airline", "2", "m", "pass", 1.0, '{"kind":"timeout"}', 1)
    assert [json.loads(text) for text in tables.traces["tools"][0]] == [tool]
    extra = json.loads(tables.traces["extra"][0])
    assert extra == {"size": 3.5, "easy": True, "list": "[1]", "gone": line["meta"]}
    assert tables.turns["preceding"].to_list()[0][0] == {"role": "system", "content": "Be kind.", "name": None}


def test_all_else_may_be_extra(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "rows.jsonl", row(0, note="x", depth={"a": [1]}, none=None))
    (extra,) = read(source, "case=id", "extra=*").traces["extra"]
    assert json.loads(extra) == {"note": "x", "depth": {"a": [1]}, "none": None}


def test_a_constant_is_the_value_of_all_rows(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "rows.jsonl", row(0), row(1))
    options = pe.InputOptions(map={"case": {"const": "one"}, "eval_set": {"const": "set"}})
    traces = pe.read(source, options).traces
    assert traces["case_id"].to_list() == ["one"] * 2
    assert traces["eval_set_id"].to_list() == ["set"] * 2


@pytest.mark.parametrize(
    ("value", "verdict", "score", "unknown"),
    [
        (True, "pass", 1.0, 0), (1, "pass", 1.0, 0), ("pass", "pass", 1.0, 0), (False, "fail", 0.0, 0),
        (0, "fail", 0.0, 0), ("fail", "fail", 0.0, 0), (-1, None, None, 1), ("maybe", None, None, 1),
        (None, None, None, 0),
    ],
)  # fmt: skip
def test_a_verdict_that_means_nothing_is_counted(
    value: object, verdict: str | None, score: float | None, unknown: int, tmp_path: Path
) -> None:
    source = write_lines(tmp_path / "rows.jsonl", {"messages": [ASKED, ANSWERED], "resolved": value})
    traces = read(source, "verdict=resolved").traces
    assert traces.select("verdict", "score").row(0) == (verdict, score)
    assert [each["count"] for each in traces["dropped"][0]] == [unknown] * bool(unknown)
    report = pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions("chatml", target="trl", map="verdict=resolved"))
    assert report.dropped_content == ({"unknown verdicts": 1} if unknown else {})


def test_metrics_are_an_object_of_numbers(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "rows.jsonl", row(0, scores={"a": 1, "b": 0.5, "c": None}), row(1, scores=None))
    traces = read(source, "metrics=scores").traces
    assert traces["score"].to_list() == [0.75, None]
    assert [metric["evaluator_name"] for metric in traces["metrics"][0]] == ["a", "b"]


def test_other_names_of_fields_and_roles(tmp_path: Path) -> None:
    said = [{"speaker": "customer", "words": "Hello?"}, {"speaker": "bot", "words": "Hi."}]
    source = write_lines(tmp_path / "rows.jsonl", {"log": said})
    texts = [
        "messages=log",
        "message.role=speaker",
        "message.content=words",
        "roles.customer=user",
        "roles.bot=assistant",
    ]
    tables = read(source, *texts)
    assert tables.turns.select("text", pl_content := "preceding").row(0)[0] == "Hi."
    assert tables.turns[pl_content].to_list()[0][0]["content"] == "Hello?"


def double(line: Json) -> Json | None:
    """Make a row of a line in a way that no path can."""
    return None if line.get("skip") else {"messages": [ASKED, {"role": "assistant", "content": line["x"] * 2}]}


def test_a_function_makes_rows(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "rows.jsonl", {"x": "a"}, {"x": "b", "skip": True}, {"y": 1})
    options = {"map": double, "on_error": "skip"}
    with pytest.warns(UserWarning, match="2 invalid records were skipped"):
        assert pe.read(source, pe.InputOptions(**options)).turns["text"].to_list() == ["aa"]  # type: ignore[arg-type]
    with pytest.raises(pe.BadRecordError, match=r"rows.jsonl:2: \$: expected a row with messages from .*, found None"):
        pe.read(source, pe.InputOptions(map=double))
    with pytest.raises(pe.SourceError, match="no_module:f: ModuleNotFoundError"):
        read(source, "python=no_module:f")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("score=rewrad", "--map score=rewrad finds nothing; the fields are id, reward, messages; did you mean reward?"),
        ("messages=log", "--map messages=log finds nothing; the fields are id, reward, messages"),
        ("each=runs[*]", r"$.runs: expected an array, as --map each says; found no such field"),
    ],
)
@pytest.mark.parametrize("searched", [False, True])
def test_a_mapping_that_finds_nothing_is_an_error(text: str, problem: str, searched: bool, tmp_path: Path) -> None:  # noqa: FBT001
    source = write_lines(tmp_path / "rows.jsonl", row(0), row(1))
    with pytest.raises(pe.SourceError) as error:
        read(tmp_path if searched else source, text)
    assert problem in str(error.value)


def test_rows_without_messages_are_told_of_the_option(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "rows.jsonl", {"id": 1, "text": "hello"})
    with pytest.raises(pe.SourceError, match=r"found id, text; say which it is \(--map messages=FIELD\)"):
        read(source, "case=id")


def test_a_field_may_be_missing_in_some_rows(tmp_path: Path) -> None:
    rows = [{key: value for key, value in row(number).items() if number or key != "reward"} for number in range(2)]
    assert read(write_lines(tmp_path / "rows.jsonl", *rows), "score=reward").traces["score"].to_list() == [None, 0.5]


def test_pairs_of_an_array_with_several_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(number % 5, id=f"case-{number // 2}", messages=[ASKED, {**ANSWERED, "content": str(number)}])
            for number in range(40)]  # fmt: skip
    source = write(tmp_path / "rows.json", rows)
    monkeypatch.setattr("polars_export.execution.conductor._LEAST_FOR_PROCESSES", 0)
    made = {}
    for workers in (1, 2):
        output = tmp_path / f"{workers}.jsonl"
        pe.export(source, output, pe.ExportOptions("dpo", target="trl", map="case=id", workers=workers))
        made[workers] = output.read_bytes()
    assert made[1] == made[2]
    assert made[1].count(b"\n") == 20 - sum(rows[n]["reward"] == rows[n + 1]["reward"] for n in range(0, 40, 2))


def test_the_command_line_maps_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "rows.json", {"runs": [row(0), row(1)]})
    command = ["export", str(source), "--format", "kto", "--target", "trl", "--output", str(tmp_path / "out.jsonl")]
    assert main([*command, "--map", "each=runs[*]", "--map", "case=id", "--label-threshold", "0.5"]) == 0
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["label"] for line in lines] == [False, True]
    assert main([*command, "--input", "message_rows"]) == 2
    assert main([*command, "--input", "otlp"]) == 2
    assert "OTLP (OpenTelemetry) traces are not read" in capsys.readouterr().err
    assert main([*command, "--input", "eval-results", "--map", "case=id"]) == 4
    assert "--map is not for --input eval-results" in capsys.readouterr().err


def test_input_says_what_a_source_is(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.json", {"a": 1})
    with pytest.raises(pe.SourceError, match=r"expected a row with one list of messages .*, found an object with a"):
        read(source, input="message-rows")
