"""Sources that are damaged or hold no traces: named, and harmless to the others."""

from __future__ import annotations

import gzip
import re
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.cli import main
from tests import rowwise
from tests.builders import case_result, turn, write_lines
from tests.faults.accounts import export, read_rejects, rejects_path, zstd
from tests.faults.three_sources import (
    BEFORE,
    BEHIND,
    DOCUMENT,
    LINES,
    RUNS,
    SKIP,
    is_of_a_source,
    skips,
    stops,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.three_sources import (
        Three,
    )

Json = dict[str, Any]


GZIP, ZSTD = gzip.compress(LINES), zstd(LINES)


def damaged(data: bytes, at: int) -> bytes:
    return data[:at] + bytes(64) + data[at + 64 :]


DAMAGED: dict[str, bytes] = {
    "the beginning of a gzip header": GZIP[:6],
    "a gzip header": GZIP[:10],
    "a gzip stream that ends early": GZIP[: len(GZIP) // 2],
    "a gzip stream without its checksum": GZIP[:-8],
    "a gzip stream with a wrong checksum": GZIP[:-8] + bytes(4) + GZIP[-4:],
    "a gzip stream with a hole": damaged(GZIP, len(GZIP) // 2),
    "a gzip stream with noise behind": GZIP + b"noise",
    "the beginning of a zstd header": ZSTD[:5],
    "a zstd stream that ends early": ZSTD[: len(ZSTD) // 2],
    "a zstd stream with a hole": damaged(ZSTD, len(ZSTD) // 2),
    "a document that ends early": DOCUMENT[: len(DOCUMENT) // 2],
    "a document without its end": DOCUMENT[:-2],
    "a document that ends before its case results": b'{"eval_set_id": "set", "case_results": [',
    "a compressed document that ends early": gzip.compress(DOCUMENT[: len(DOCUMENT) // 2]),
    "a document broken between two case results": DOCUMENT.replace(b"  },\n  {", b"  }\n  {", 1),
    "a document with words between two case results": DOCUMENT.replace(b"  },\n  {", b"  } oops,\n  {", 1),
    "a document that names no eval set": DOCUMENT.replace(b'"eval_set_id"', b'"eval_set"', 1),
}

LEAST = {
    "a gzip stream that ends early": 150,
    "a gzip stream without its checksum": 350,
    "a gzip stream with noise behind": 350,
    "a zstd stream that ends early": 100,
    "a document that ends early": 199,
    "a document without its end": 400,
    "a compressed document that ends early": 199,
    "a document broken between two case results": 1,
    "a document with words between two case results": 1,
}
"""How many traces precede the damage by so much that they must come through; none where a name is missing."""


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_source_stops_an_export_and_is_named(
    name: str, three: Three, capfd: pytest.CaptureFixture[str]
) -> None:
    three.bad.write_bytes(DAMAGED[name])
    stops(three, capfd)


def test_the_first_bad_record_is_named_also_where_a_later_source_is_damaged(
    three: Three, capfd: pytest.CaptureFixture[str]
) -> None:
    later = three.folder / "d.jsonl"
    later.write_bytes(DAMAGED["a gzip stream that ends early"])
    for format_name in ("chatml", "dpo"):
        write_lines(three.bad, case_result("a"), case_result("b", turn("x", index=-1)))
        assert f"{three.bad}:2: $.invocation.turns[0].turn_index" in stops(three, capfd, "--format", format_name)
        write_lines(three.bad, case_result("a"), case_result("b"))
        with pytest.raises(pe.SourceError, match=r"d\.jsonl: damaged gzip data"):
            pe.export(three.folder, three.output, pe.ExportOptions(format_name))
    with later.open("rb") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", SimpleNamespace(buffer=file, fileno=file.fileno))
        with pytest.raises(pe.SourceError, match="-: damaged gzip data"):
            pe.export("-", three.output, pe.ExportOptions("dpo"))


@pytest.mark.parametrize("format_name", ["chatml", "dpo"])
@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_lost_of_a_damaged_source_is_one_reject_and_the_next_goes_on(
    name: str, format_name: str, three: Three
) -> None:
    three.bad.write_bytes(DAMAGED[name])
    if "document" in name:
        asked = pe.ExportOptions(format_name, on_error="skip")
        report = export(three.sources, three.output, asked)
        exported = report.traces_read - 1 - 4
        rejects = read_rejects(rejects_path(three.output))
        held = [{**trace, "eval_set_id": "set"} for trace in RUNS[:exported]]
        assert three.output.read_bytes() == rowwise.export([*BEFORE, *held, *BEHIND], format_name, 0.0)
    else:
        exported, rejects = skips(three, format_name)
    (reject,) = rejects
    assert is_of_a_source(reject)
    assert LEAST.get(name, 0) <= exported <= len(RUNS)


def test_all_that_precedes_the_damage_is_kept(three: Three) -> None:
    three.bad.write_bytes(DAMAGED["a document that ends early"])
    report = export(three.sources, three.output, SKIP)
    whole = DAMAGED["a document that ends early"].count(b'\n   "verdict"')
    assert report.exported == 4 + whole > 100
    three.bad.write_bytes(DAMAGED["a document without its end"])
    assert export(three.sources, three.output, SKIP).exported == 4 + len(RUNS)
    three.bad.write_bytes(DAMAGED["a document broken between two case results"])
    assert export(three.sources, three.output, SKIP).exported == 4 + 1


NO_TRACES: dict[str, tuple[bytes, str]] = {
    "an empty file": (b"", "the file is empty"),
    "nothing but space": (b" \r\n\n\t", "the file is empty"),
    "nothing but a byte-order mark": (b"\xef\xbb\xbf", "the file is empty"),
    "a gzip stream of nothing": (gzip.compress(b""), "the file is empty"),
    "a manifest": (
        b'{\n "name": "x",\n "files": [{"score": 1}]\n}\n',
        "expected eval results .* object with files, name",
    ),
    "other lines": (b'{"a": 1}\n{"a": 2}\n', "expected eval results .* object with a$"),
    "a summary of eval results": (b'{"eval_set_id": "s", "passed": 3}', "expected eval results .* eval_set_id, passed"),
    "a number": (b"7", "expected a JSON object, found text that starts with '7'"),
    "a string": (b'"1.0"\n', "expected a JSON object, found text that starts with '\"1.0\"'"),
    "broken JSON": (b'{"a": [1, 2', "expected the rest of the document, found the end of the file"),
    "an image": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, "expected a JSON object, found text that starts with"),
    "bzip2": (b"BZh9" + bytes(range(256)), "expected a JSON object, found text that starts with 'BZh9"),
    "HTML": (b"<html>\n<body>\n", "expected a JSON object, found text that starts with '<html>'"),
    "CSV": (b"a,b\n1,2\n", "expected a JSON object, found text that starts with 'a,b'"),
}


@pytest.mark.parametrize("on_error", ["fail", "skip"])
@pytest.mark.parametrize("format_name", ["chatml", "dpo"])
@pytest.mark.parametrize("name", NO_TRACES)
def test_a_search_skips_a_file_without_traces_and_names_it(
    name: str, format_name: str, on_error: str, three: Three
) -> None:
    data, problem = NO_TRACES[name]
    three.bad.write_bytes(data)
    report = export(three.sources, three.output, pe.ExportOptions(format_name, on_error=on_error))
    assert three.output.read_bytes() == rowwise.export([*BEFORE, *BEHIND], format_name, 0.0)
    assert (report.traces_read, report.dropped) == (4, {})
    assert list(report.skipped_files) == [str(three.bad)]
    assert re.search(problem, report.skipped_files[str(three.bad)])


@pytest.mark.parametrize("name", NO_TRACES)
def test_a_file_without_traces_that_is_named_is_an_error(name: str, three: Three) -> None:
    data, problem = NO_TRACES[name]
    three.bad.write_bytes(data)
    named: list[Path | str] = [three.folder / "a.jsonl", three.bad, three.folder / "c.jsonl"]
    for sources in (named, [f"{three.folder}/*.jsonl"]):
        with pytest.raises(pe.InputError, match=problem) as caught:
            pe.export(sources, three.output, pe.ExportOptions("chatml"))
        assert str(caught.value).startswith(str(three.bad))
    report = export(named, three.output, SKIP)
    assert (report.exported, report.dropped, report.skipped_files) == (4, {"invalid": 1}, {})
    (reject,) = read_rejects(rejects_path(three.output))
    assert is_of_a_source(reject) or reject["line"] == 1


@pytest.mark.parametrize("data", [b'{"eval_set_id": "set", "case_resu', b'{"case_id": "a", "invoc'])
def test_a_search_skips_no_file_that_ends_in_the_first_keys_of_results(
    data: bytes, three: Three, capfd: pytest.CaptureFixture[str]
) -> None:
    three.bad.write_bytes(data)
    assert "found the end of the file" in stops(three, capfd)
    exported, (reject,) = skips(three)
    assert (exported, reject["line"]) == (0, 1)


@pytest.mark.parametrize("name", ["a manifest", "other lines", "HTML", "broken JSON"])
def test_a_search_skips_no_file_with_a_trace_behind_something_else(
    name: str, three: Three, capfd: pytest.CaptureFixture[str]
) -> None:
    three.bad.write_bytes(NO_TRACES[name][0].rstrip() + b"\n" + LINES)
    stops(three, capfd)
    exported, _ = skips(three)
    assert exported == len(RUNS)


def test_a_search_in_which_no_file_has_traces_is_an_error(tmp_path: Path) -> None:
    for data, problem in NO_TRACES.values():
        (tmp_path / "file.json").write_bytes(data)
        for on_error in ("fail", "skip"):
            with pytest.raises(pe.SourceError, match=problem):
                pe.export(tmp_path, tmp_path.with_suffix(".jsonl"), pe.ExportOptions("chatml", on_error=on_error))


def test_a_source_of_another_kind_that_is_named_is_an_error(three: Three, capfd: pytest.CaptureFixture[str]) -> None:
    three.bad.write_bytes(b'{"schema_version": 1, "cases": []}')
    sources: list[Path | str] = [three.folder / "a.jsonl", three.bad, three.folder / "c.jsonl"]
    command = [*map(str, sources), "--format", "chatml", "--output", str(three.output)]
    assert main(["export", *command]) == 4
    assert "a report artifact holds no traces" in capfd.readouterr().err
    report = export(sources, three.output, SKIP)
    assert (report.exported, report.dropped) == (4, {"invalid": 1})
    (reject,) = read_rejects(rejects_path(three.output))
    assert is_of_a_source(reject)
    assert export(three.sources, three.output, SKIP).dropped == {}  # a search skips it
