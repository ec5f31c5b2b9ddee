"""Tables are added to: what is known stays, what is new comes behind, what has changed is replaced in its place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import polars_export as pe
from polars_export.inputs.reader import SourceReader
from polars_export.sources import segments
from polars_export.table_files import blocks
from tests.builders import case_result, turn, write_document, write_lines

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", 4_000)
    monkeypatch.setattr(blocks, "_MOST_TRACES", 2)


def write(path: Path, name: str, count: int) -> Path:
    return write_lines(path, *(case_result(f"{name}{number}", turn(name * 9)) for number in range(count)))


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    return [write(tmp_path / f"{name}.jsonl", name, 5) for name in "abc"]


def cases(output: Path) -> str:
    return " ".join(pe.read(output).traces["case_id"].to_list())


def equal(output: Path, sources: list[Path]) -> bool:
    stored, read = pe.read(output), pe.read(sources)
    return stored.traces.equals(read.traces) and stored.turns.equals(read.turns)


def test_new_traces_come_behind_the_old_ones(sources: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "tables"
    pe.write_tables(sources[1:], output)
    more = write_document(tmp_path / "d.json", case_result("d"))
    report = pe.write_tables([sources[0], more, *sources[1:]], output)
    order = [*sources[1:], sources[0], more]
    assert equal(output, order)
    assert (report.traces_read, report.exported) == (16, 16)
    manifest = json.loads((output / "manifest.json").read_text())
    assert [source["path"] for source in manifest["sources"]] == list(map(str, order))
    whole = tmp_path / "whole"
    pe.write_tables(order, whole)
    assert json.loads((whole / "manifest.json").read_text())["sources"] == manifest["sources"]


def test_what_is_known_is_not_read_again(sources: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pe.write_tables(sources[:2], tmp_path / "tables")
    read: list[str] = []
    real = SourceReader.__init__

    def noted(self: SourceReader, segment: segments.Segment, *more: object) -> None:
        read.append(segment.path)
        real(self, segment, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(SourceReader, "__init__", noted)
    pe.write_tables(sources, tmp_path / "tables")
    assert set(read) == {str(sources[2])}


def test_the_traces_of_a_changed_source_are_replaced_in_their_place(sources: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "tables"
    pe.write_tables(sources, output)
    write(sources[1], "x", 3)
    pe.write_tables(sources[1], output)
    assert cases(output) == "a0 a1 a2 a3 a4 x0 x1 x2 c0 c1 c2 c3 c4"
    assert equal(output, sources)
    write(sources[0], "y", 7)
    write(sources[2], "z", 1)
    pe.write_tables([tmp_path / "*.jsonl"], output)
    assert equal(output, sources)


def test_sources_that_are_not_named_or_have_gone_stay(sources: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "tables"
    pe.write_tables(sources[:2], output)
    before = json.loads((output / "manifest.json").read_text())["sources"]
    sources[0].unlink()
    pe.write_tables(sources[2], output)
    assert cases(output) == "a0 a1 a2 a3 a4 b0 b1 b2 b3 b4 c0 c1 c2 c3 c4"
    assert json.loads((output / "manifest.json").read_text())["sources"][:2] == before


def test_what_is_there_already_changes_nothing(sources: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "tables"
    pe.write_tables(sources, output)
    before = pe.read(output)
    report = pe.write_tables(sources, output)
    assert report.exported == 15
    assert pe.read(output).traces.equals(before.traces)


def test_other_options_than_before_are_an_error(sources: list[Path], tmp_path: Path) -> None:
    output, sets = tmp_path / "tables", tmp_path / "sets.json"
    cases_of_set = [{"id": "a0", "name": "", "system_prompt": "s", "user_messages": ["u"]}]
    sets.write_text(json.dumps({"id": "set", "name": "", "cases": cases_of_set}))
    pe.write_tables(sources[:1], output, pe.InputOptions(prompts=sets))
    with pytest.raises(pe.OptionError, match=r"--output: .* made with other options \(prompts\); --overwrite replaces"):
        pe.write_tables(sources, output)
    with pytest.raises(pe.OptionError, match=r"other options \(max_record_bytes\)"):
        pe.write_tables(sources, output, pe.InputOptions(prompts=sets, max_record_bytes="1MB"))
    sets.write_text(sets.read_text().replace("0", "1"))
    with pytest.raises(pe.OptionError, match=r"other options \(prompts\)"):
        pe.write_tables(sources, output, pe.InputOptions(prompts=sets))
    assert cases(output) == "a0 a1 a2 a3 a4"
    pe.write_tables(sources, output, pe.InputOptions(prompts=sets), overwrite=True)
    assert len(pe.read(output)) == 15


def test_an_invalid_source_leaves_the_tables_as_they_are(sources: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "tables"
    pe.write_tables(sources[:1], output)
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    sources[1].write_text(sources[1].read_text() + "{broken")
    with pytest.raises(pe.BadRecordError, match=r"b.jsonl:6"):
        pe.write_tables(sources, output)
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before
