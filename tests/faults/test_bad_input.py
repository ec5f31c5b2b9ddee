"""Every bad line of the table: named where it stops the export, counted where not, harmless to its neighbours."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.cli import main
from polars_export.sources import segments
from tests import rowwise
from tests.builders import call, case_result, document, turn
from tests.faults.accounts import export, lines_of, raw_of, read_rejects, rejects_path, work_directories
from tests.faults.bad_lines import BAD_LINES, FINE_LINES
from tests.faults.verdicts import Verdict, judge

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.bad_lines import BadLine

Json = dict[str, Any]

# Two runs of the case that the bad lines claim to be runs of: a bad one would be the best or the worst.
BEFORE = case_result("case", turn("one", index=1), scores=[0.5])
BEHIND = case_result("case", turn("two"), turn("three", index=1), scores=[0.75])

in_file = pytest.mark.parametrize("name", BAD_LINES)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out/records.jsonl"


def lines_with(folder: Path, *lines: bytes) -> Path:
    """Write a file with some lines between two good ones."""
    source = folder / "lines.jsonl"
    source.write_bytes(lines_of([BEFORE]) + b"".join(line + b"\n" for line in lines) + lines_of([BEHIND]))
    return source


def complaint(bad: BadLine, json_path: str) -> str:
    return f"{json_path}: expected {bad.expected}"


def stops(capfd: pytest.CaptureFixture[str], source: Path, output: Path, name: str = "chatml") -> str:
    """Run an export that the bad input must stop, with an old output in place; return the line that it complains in."""
    output.write_bytes(b"old")
    status = main(["export", str(source), "--format", name, "--output", str(output)])
    captured = capfd.readouterr()
    assert (status, captured.out, captured.err.count("\n")) == (4, "", 1)
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    assert output.read_bytes() == b"old"
    output.unlink()
    return captured.err


@in_file
def test_a_bad_line_stops_an_export_and_is_named(
    name: str, tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bad = BAD_LINES[name]
    source = lines_with(tmp_path, bad.line)
    message = stops(capfd, source, output)
    assert message.startswith(f"polars-export: {source}:2: {bad.json_path}")
    if bad.expected:
        assert message.startswith(f"polars-export: {source}:2: {complaint(bad, bad.json_path)}")
    assert f", found {bad.found}" in message


@in_file
def test_a_bad_line_is_told_and_skipped_and_costs_no_other(name: str, tmp_path: Path, output: Path) -> None:
    bad = BAD_LINES[name]
    source = lines_with(tmp_path, bad.line)
    report = export(source, output, pe.ExportOptions("chatml", on_error="skip"))
    assert output.read_bytes() == rowwise.export([BEFORE, BEHIND], "chatml", 0.0)
    assert (report.traces_read, report.exported, report.dropped) == (3, 2, {"invalid": 1})
    (reject,) = read_rejects(rejects_path(output))
    assert (reject["source"], reject["line"]) == (str(source), 2)
    assert reject["json_path"].startswith(bad.json_path)
    assert reject["expected"].startswith(bad.expected)
    assert reject["found"].startswith(bad.found)
    assert (reject["bytes"], reject["raw"]) == (len(bad.line), raw_of(bad.line))


@pytest.mark.parametrize("name", FINE_LINES)
def test_an_odd_line_is_no_bad_one(name: str, tmp_path: Path, output: Path) -> None:
    judged = judge(FINE_LINES[name], 0.0)
    assert judged.verdict is Verdict.VALID
    assert judged.trace
    source = lines_with(tmp_path, FINE_LINES[name])
    for format_name in ("chatml", "dpo"):
        report = export(source, output, pe.ExportOptions(format_name))
        assert output.read_bytes() == rowwise.export([BEFORE, judged.trace, BEHIND], format_name, 0.0)
        assert report.traces_read == 3


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + lines_of([BEFORE, BEHIND]),
        lines_of([BEFORE, BEHIND]).replace(b"\n", b"\r\n"),
        b"\n \t\r\n" + lines_of([BEFORE]) + b"\n" * 100 + b"   \n" + lines_of([BEHIND]) + b" \n\n",
        lines_of([BEFORE, BEHIND])[:-1],
    ],
    ids=["byte-order mark", "CRLF", "blank lines", "no line feed at the end"],
)
def test_an_odd_file_of_lines_is_no_bad_one(data: bytes, tmp_path: Path, output: Path) -> None:
    source = tmp_path / "lines.jsonl"
    source.write_bytes(data)
    report = export(source, output, pe.ExportOptions("chatml", on_error="skip"))
    assert output.read_bytes() == rowwise.export([BEFORE, BEHIND], "chatml", 0.0)
    assert report.traces_read == 2


@pytest.mark.parametrize("format_name", ["chatml", "dpo", "sharegpt"])
def test_all_the_bad_lines_of_one_file_are_told_in_its_order(format_name: str, tmp_path: Path, output: Path) -> None:
    odd = [*FINE_LINES.values()] * len(BAD_LINES)
    lines = [line for number, bad in enumerate(BAD_LINES.values()) for line in (bad.line, odd[number])]
    source = lines_with(tmp_path, *lines)
    report = export(source, output, pe.ExportOptions(format_name, on_error="skip"))
    traces = [trace for line in odd[: len(BAD_LINES)] if (trace := judge(line, 0.0).trace)]
    good = [BEFORE, *traces, BEHIND]
    assert output.read_bytes() == rowwise.export(good, format_name, 0.0)
    assert report.dropped[pe.DropReason.INVALID] == len(BAD_LINES)
    assert report.traces_read == 2 * len(BAD_LINES) + 2
    rejects = read_rejects(rejects_path(output))
    assert [reject["line"] for reject in rejects] == [2 + 2 * number for number in range(len(BAD_LINES))]


def test_what_lies_deep_in_a_trace_below_the_threshold_is_not_looked_at(tmp_path: Path, output: Path) -> None:
    bad_deep = case_result("case", turn("x", index=-1), scores=[0.1])
    bad_outline = case_result("case", scores=["low"])  # type: ignore[list-item]
    source = lines_with(tmp_path, *lines_of([bad_deep, bad_outline]).splitlines())
    for format_name in ("chatml", "dpo", "sharegpt"):
        report = export(source, output, pe.ExportOptions(format_name, quality_threshold=0.25, on_error="skip"))
        assert report.dropped == {"below_threshold": 1, "invalid": 1}
        assert output.read_bytes() == rowwise.export([BEFORE, BEHIND], format_name, 0.25)


@pytest.mark.parametrize("score", [0.0, 0.6, 2.0])
def test_a_bad_run_is_never_chosen_and_costs_its_case_no_pair(score: float, tmp_path: Path, output: Path) -> None:
    bad = case_result("case", turn("x", index=-1), scores=[score])
    source = lines_with(tmp_path, *lines_of([bad]).splitlines())
    for target in ("reference", "trl"):
        options = pe.ExportOptions("dpo", target=target, on_error="skip", missing_prompt="keep")
        report = export(source, output, options)
        assert (report.exported, report.dropped) == (2, {"invalid": 1})
        (reject,) = read_rejects(rejects_path(output))
        assert (reject["line"], reject["json_path"]) == (2, "$.invocation.turns[0].turn_index")


def nested(levels: int, case: str, score: float) -> bytes:
    """Write a run with a call whose arguments are nested."""
    run = lines_of([case_result(case, turn("x", calls=[call(arguments="deep")]), scores=[score])])
    return run.replace(b'"deep"', b'{"a":' * levels + b"1" + b"}" * levels)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="what may be nested no longer depends on who calls")
def test_a_run_that_can_just_be_read_once_is_chosen_only_if_it_can_be_read_again(
    tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    deepest = sys.getrecursionlimit()
    source = tmp_path / "runs.jsonl"
    levels = range(deepest - 150, deepest + 10)
    source.write_bytes(b"".join(nested(some, f"case {some}", score) for some in levels for score in (0.5, 0.75)))
    report = export(source, output, pe.ExportOptions("dpo", on_error="skip"))
    bad = report.dropped[pe.DropReason.INVALID]
    assert (report.exported, bad % 2) == (2 * len(levels) - bad, 0)
    assert read_rejects(rejects_path(output))[0]["line"] == 1 + report.exported
    rejects_path(output).unlink()
    assert int(stops(capfd, source, output, "dpo").split(":")[2]) > 1


def test_where_nothing_is_rejected_the_rejects_are_empty(tmp_path: Path, output: Path) -> None:
    export(lines_with(tmp_path), output, pe.ExportOptions("chatml", on_error="skip"))
    assert rejects_path(output).read_bytes() == b""
    export(lines_with(tmp_path), output.with_name("set"), pe.ExportOptions("chatml", on_error="skip"))
    assert rejects_path(output.with_name("set")).read_bytes() == b""


def test_old_rejects_are_replaced_with_the_output(tmp_path: Path, output: Path) -> None:
    options = pe.ExportOptions("chatml", on_error="skip")
    export(lines_with(tmp_path, b"{"), output, options)
    assert len(read_rejects(rejects_path(output))) == 1
    export(lines_with(tmp_path), output, options)
    assert rejects_path(output).read_bytes() == b""


@pytest.mark.parametrize("name", ["records.jsonl", "set"])
def test_where_nothing_is_left_nothing_is_written(
    name: str, tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "lines.jsonl"
    source.write_bytes(b'{"case_id": 1, "invocation": {}}\n' * 3)
    command = ["export", str(source), "--format", "chatml", "--output", str(output.with_name(name))]
    assert main([*command, "--on-error", "skip"]) == 3
    assert "3 traces read, 3 invalid" in capfd.readouterr().err
    assert list(output.parent.iterdir()) == []
    assert main(command) == 4


def test_a_directory_holds_its_rejects_and_tells_of_them(tmp_path: Path, output: Path) -> None:
    source = lines_with(tmp_path, b"{", b"\xff")
    folder = output.with_name("set")
    report = export(source, folder, pe.ExportOptions("chatml", on_error="skip"))
    assert [reject["line"] for reject in read_rejects(folder / "rejects.jsonl")] == [2, 3]
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert '"invalid": 2' in json.dumps(manifest)
    assert report.dropped == {"invalid": 2}


def test_beside_standard_output_there_is_no_place_for_rejects(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = lines_with(tmp_path, b"{")
    assert main(["export", str(source), "--format", "chatml", "--output", "-", "--on-error", "skip"]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("polars-export: --on-error: skip writes bad records to a file beside the output")


def test_a_long_bad_line_is_told_in_part(tmp_path: Path, output: Path) -> None:
    line = b'{"case_id": "' + "é".encode() * 20_000
    source = lines_with(tmp_path, line)
    export(source, output, pe.ExportOptions("chatml", on_error="skip"))
    (reject,) = read_rejects(rejects_path(output))
    assert reject["bytes"] == len(line)
    assert line.decode().startswith(reject["raw"].rstrip("\\xc3"))
    assert 9_990 <= len(reject["raw"].encode()) <= 10_010


BROKEN = [b"{", b"words", b"\0\0\0", b"\xff\xfe", b'{"case_id": "a", "inv', b"3", b'{"case_id": 7}', b"[INFO] start"]
OF_ANOTHER_KIND = [
    b"[1]",
    b'{"messages": [], "metadata": {"case_id": "a", "score": 1.0}}',
    b'{"messages": NaN}',
    b'{"id": "s", "cases": []}',
    b'{"case_results": [tru',
    b'{"case_results": 5, "eval_set_id": "x"}',
    b'{"eval_set_id": "x", "case_results": []}',
    json.dumps(document(BEFORE)).encode(),
]


@pytest.mark.parametrize("searched", [False, True], ids=["named", "searched"])
@pytest.mark.parametrize("broken", [*BROKEN, *OF_ANOTHER_KIND])
def test_a_broken_first_line_costs_no_other(
    *, broken: bytes, searched: bool, tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", 1_000)
    (tmp_path / "in").mkdir()
    file = tmp_path / "in/lines.jsonl"
    file.write_bytes(broken + b"\n" + lines_of([BEFORE, BEHIND] + [case_result("other")] * 3))
    source = file.parent if searched else file
    with pytest.raises(pe.InputError, match=r"lines\.jsonl"):
        pe.export(source, output, pe.ExportOptions("dpo"))
    assert work_directories(output) == []
    report = export(source, output, pe.ExportOptions("dpo", on_error="skip"))
    assert output.read_bytes() == rowwise.export([BEFORE, BEHIND] + [case_result("other")] * 3, "dpo", 0.0)
    assert (report.traces_read, report.dropped) == (6, {"not_selected": 1, "invalid": 1})
    (reject,) = read_rejects(rejects_path(output))
    assert (reject["line"], reject["raw"]) == (1, raw_of(broken))


def test_a_trace_may_have_a_field_that_a_document_has(tmp_path: Path, output: Path) -> None:
    source = tmp_path / "lines.jsonl"
    odd = {"case_results": 1, **BEFORE}
    source.write_bytes(lines_of([odd, BEHIND]))
    assert export(source, output, pe.ExportOptions("dpo", on_error="skip")).exported == 2


IN_DOCUMENTS = [name for name, bad in BAD_LINES.items() if bad.json_path != "$" and "scored trace" not in name]


NOT_AN_OBJECT = ["a number", "a string", "an array", "null"]


@pytest.mark.parametrize(
    "name",
    [*IN_DOCUMENTS, *NOT_AN_OBJECT, "NaN", "invalid UTF-8", "a low surrogate alone", "arrays in arrays"],
)
def test_a_bad_case_result_of_a_document_costs_no_other(
    name: str, tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bad = BAD_LINES[name]
    marked = json.dumps(document(BEFORE, {"case_id": "?"}, BEHIND), indent=1).encode()
    source = tmp_path / "document.json"
    element = json.dumps({"case_id": "?"}, indent=1).encode().replace(b"\n", b"\n  ")
    assert element in marked
    source.write_bytes(marked.replace(element, bad.line))
    path = bad.json_path.replace("$", "$.case_results[1]")
    assert stops(capfd, source, output).startswith(f"polars-export: {source}: {path}: expected ")
    report = export(source, output, pe.ExportOptions("dpo", on_error="skip"))
    assert output.read_bytes() == rowwise.export([BEFORE, BEHIND], "dpo", 0.0, eval_set_id="set")
    assert (report.traces_read, report.dropped) == (3, {"invalid": 1})
    (reject,) = read_rejects(rejects_path(output))
    assert (reject["line"], reject["index"], reject["json_path"]) == (None, 1, path)
    assert (reject["bytes"], reject["raw"]) == (len(bad.line), raw_of(bad.line))
