"""Files that change while they are read: what was there when an export began, or a clear error; never half a record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.sources import segments, stream, window
from tests import rowwise
from tests.builders import case_result, document, turn
from tests.faults.accounts import export, lines_of, read_rejects, rejects_path, work_directories

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Json = dict[str, Any]

RUNS = [case_result(f"case {number // 2}", turn(f"{number} " * 50), scores=[number % 2]) for number in range(100)]
NEW = case_result("case 0", turn("appended"), scores=[2.0])
OTHER = case_result("other", scores=[0.5])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "a.jsonl"
    path.parent.mkdir()
    path.write_bytes(lines_of(RUNS))
    path.with_name("b.jsonl").write_bytes(lines_of([OTHER, OTHER]))
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out/records.jsonl"


@pytest.fixture(params=[1 << 30, 20_000], ids=["one part", "small parts"], autouse=True)
def _parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", request.param)
    monkeypatch.setattr(window, "CHUNK_BYTES", 5_000)


def when_read(monkeypatch: pytest.MonkeyPatch, source: Path, behind: int, change: Callable[[], object]) -> None:
    """Change a source once so many bytes of it have been read."""
    readinto = stream.ByteStream.readinto
    read = 0

    def hooked(self: stream.ByteStream, buffer: memoryview) -> int:
        nonlocal read
        count = readinto(self, buffer)
        if self.source == str(source) and read <= behind < read + count:
            change()
        read += count if self.source == str(source) else 0
        return count

    monkeypatch.setattr(stream.ByteStream, "readinto", hooked)


def append(source: Path, data: bytes) -> None:
    with source.open("ab") as file:
        file.write(data)


def truncate(source: Path, size: int) -> None:
    with source.open("r+b") as file:
        file.truncate(size)


@pytest.mark.parametrize("format_name", ["chatml", "dpo"])
@pytest.mark.parametrize("on_error", ["fail", "skip"])
@pytest.mark.parametrize("behind", [7_000, 40_000])
def test_what_is_appended_while_it_is_read_is_not_read(  # noqa: PLR0913, PLR0917 - all that may make a difference
    behind: int, on_error: str, format_name: str, source: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    when_read(monkeypatch, source, behind, lambda: append(source, lines_of([NEW, NEW]) + b'{"half'))
    report = export([source.parent], output, pe.ExportOptions(format_name, on_error=on_error))
    assert source.read_bytes().endswith(b'{"half')
    assert report.traces_read == 102
    assert output.read_bytes() == rowwise.export([*RUNS, OTHER, OTHER], format_name, 0.0)


@pytest.mark.parametrize("format_name", ["chatml", "dpo"])
@pytest.mark.parametrize("size", [0, 15_000, 45_000])
def test_a_file_that_shrinks_while_it_is_read_stops_an_export(
    size: int, format_name: str, source: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output.write_bytes(b"old")
    when_read(monkeypatch, source, 7_000, lambda: truncate(source, size))
    with pytest.raises(pe.SourceError, match=r"a\.jsonl: became shorter while it was read"):
        pe.export(source.parent, output, pe.ExportOptions(format_name))
    assert output.read_bytes() == b"old"
    assert work_directories(output) == []


@pytest.mark.parametrize("size", [0, 15_000, 45_000])
def test_what_is_lost_of_a_file_that_shrinks_is_told_and_the_next_goes_on(
    size: int, source: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    when_read(monkeypatch, source, 7_000, lambda: truncate(source, size))
    report = export([source.parent], output, pe.ExportOptions("chatml", on_error="skip"))
    rejects = read_rejects(rejects_path(output))
    assert rejects
    for reject in rejects:
        assert "became shorter while it was read" in reject["error"]
        assert (reject["line"], reject["index"], reject["source"]) == (None, None, str(source))
    exported = report.traces_read - len(rejects) - 2
    assert 0 < exported < 100
    assert output.read_bytes() == rowwise.export([*RUNS[:exported], OTHER, OTHER], "chatml", 0.0)


@pytest.mark.parametrize("on_error", ["fail", "skip"])
def test_pairs_of_a_file_that_shrinks_once_they_are_chosen_stop_an_export(
    on_error: str, source: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = source.with_name("b.jsonl")
    when_read(monkeypatch, b, 0, lambda: truncate(source, 15_000))
    with pytest.raises(pe.SourceError, match=r"a\.jsonl: became shorter while it was read"):
        pe.export(source.parent, output, pe.ExportOptions("dpo", on_error=on_error))
    assert list(output.parent.iterdir()) == []


def test_behind_what_cannot_be_read_no_line_is_told(
    source: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [pe.SourceError(str(source), "Input/output error")]

    def fail() -> None:
        if errors:
            raise errors.pop()

    lines = source.read_bytes().splitlines(keepends=True)
    source.write_bytes(b"".join([*lines[:5], b"{early\n", *lines[5:95], b"{late\n", *lines[95:]]))
    when_read(monkeypatch, source, 30_000, fail)
    report = export([source.parent], output, pe.ExportOptions("chatml", on_error="skip"))
    early, lost, *late = read_rejects(rejects_path(output))
    assert (early["line"], early["raw"]) == (6, "{early")
    assert (lost["line"], lost["error"]) == (None, f"{source}: Input/output error")
    if source.stat().st_size < segments.PART_BYTES:
        assert late == []
    else:
        assert [(reject["line"], reject["raw"]) for reject in late] == [(None, "{late")]
        assert report.exported > 60


def test_a_pair_that_changes_once_it_is_chosen_is_no_fault_of_another_record(
    source: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = source.read_bytes()
    source.write_bytes(b"{bad\n" + good)
    b = source.with_name("b.jsonl")
    when_read(monkeypatch, b, 0, lambda: source.write_bytes(b"{bad\n" + good.replace(b'"turns"', b'"tunrs"')))
    with pytest.raises(pe.SourceError, match=r"a\.jsonl: has changed while it was read"):
        pe.export(source.parent, output, pe.ExportOptions("dpo", on_error="skip"))
    assert list(output.parent.iterdir()) == []


@pytest.mark.parametrize("on_error", ["fail", "skip"])
def test_a_file_that_goes_before_its_turn_is_told(
    on_error: str, source: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = source.with_name("b.jsonl")
    when_read(monkeypatch, source, 7_000, b.unlink)
    if on_error == "fail":
        with pytest.raises(pe.SourceError, match=r"b\.jsonl: No such file"):
            pe.export(source.parent, output, pe.ExportOptions("chatml"))
        assert list(output.parent.iterdir()) == []
    else:
        report = export([source.parent], output, pe.ExportOptions("chatml", on_error="skip"))
        assert (report.exported, report.dropped) == (100, {"invalid": 1})


def test_a_document_that_is_written_anew_while_it_is_read_is_told(
    source: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = json.dumps(document(*RUNS), indent=1).encode()
    source.write_bytes(data)
    when_read(monkeypatch, source, 7_000, lambda: truncate(source, 15_000))
    report = export([source.parent], output, pe.ExportOptions("chatml", on_error="skip"))
    exported = report.traces_read - 1 - 2
    assert output.read_bytes() == rowwise.export([*RUNS[:exported], OTHER, OTHER], "chatml", 0.0)
    (reject,) = read_rejects(rejects_path(output))
    assert (reject["line"], reject["index"]) == (None, None)
