"""However sources are cut into segments and parts, every line is read once, in order, under its own number."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import polars_export as pe
from polars_export.sources import Reading, find_sources, lines_before, parts_of, segments, stream
from tests.builders import case_result, turn, write_document, write_lines

if TYPE_CHECKING:
    from polars_export.sources import Part

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
FIRST = b'{"invocation":0}'  # by which lines are recognised
LINES = st.binary(max_size=30).map(lambda data: data.replace(b"\n", b"")) | st.sampled_from([b"", b" \t", b"{}"])


def parts(*sources: Path) -> list[Part]:
    return list(parts_of(find_sources(sources)))


def read(path: Path) -> list[tuple[int, bytes]]:
    """Return the lines of a file with their numbers, read segment by segment."""
    found = []
    for segment in (segment for part in parts(path) for segment in part):
        before = lines_before(segment)
        for chunk in Reading(segment).chunks():
            for number, (start, end) in zip(chunk.positions, chunk.spans, strict=True):
                found.append((before + number, bytes(chunk.data[start:end])))
                with path.open("rb") as file:
                    file.seek(chunk.offset + start)
                    assert file.read(end - start) == chunk.data[start:end]
    return found


@settings(max_examples=150, deadline=None)
@given(
    before=st.lists(st.sampled_from([b"", b"\t "]), max_size=2),
    after=st.lists(LINES, max_size=8),
    end=st.sampled_from([b"\n", b"\r\n"]),
    ends_with_newline=st.booleans(),
    marked=st.booleans(),
    part_bytes=st.integers(1, 60),
    chunk_bytes=st.sampled_from([4, 7, 30, 1 << 21]),
)
def test_every_line_is_read_once_in_order_under_its_number(  # noqa: PLR0913 - one argument per dimension
    *,
    before: list[bytes],
    after: list[bytes],
    end: bytes,
    ends_with_newline: bool,
    marked: bool,
    part_bytes: int,
    chunk_bytes: int,
) -> None:
    lines = [*before, FIRST, *after]
    text = end.join(lines) + (end if ends_with_newline else b"")
    expected = [
        (number, line.rstrip(b"\r")) for number, line in enumerate(text.split(b"\n"), 1) if line.strip(b" \t\r\n")
    ]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        # A part is larger than a byte-order mark: the line behind one that fills a part would start in no part.
        patch.setattr(segments, "PART_BYTES", max(part_bytes, 4) if marked else part_bytes)
        patch.setattr(stream, "CHUNK_BYTES", chunk_bytes)
        path = Path(folder) / "runs.jsonl"
        path.write_bytes((BYTE_ORDER_MARK if marked else b"") + text)
        assert [(number, line.rstrip(b"\r")) for number, line in read(path)] == expected


def test_segments_are_of_one_size_and_cover_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", 1_000)
    path = write_lines(tmp_path / "runs.jsonl", *[case_result(str(number)) for number in range(20)])
    size = path.stat().st_size
    every = [part[0] for part in parts(path)]
    assert [segment.start for segment in every] == list(range(0, size, 1_000))
    assert [segment.end for segment in every] == [*range(1_000, size, 1_000), None]
    assert sum(segment.size for segment in every) == size


def test_small_sources_are_put_together_and_none_changes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [40, 30, 30, 100, 10, 300, 5, 5]
    paths = [tmp_path / f"{number}.json" for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(b"[" * size)  # not lines, whatever it is
    monkeypatch.setattr(segments, "PART_BYTES", 100)
    assert [[segment.number for segment in part] for part in parts(*paths)] == [[0, 1, 2], [3], [4], [5], [6, 7]]


def test_what_cannot_be_read_from_the_middle_is_one_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", 100)
    records = [case_result(str(number)) for number in range(20)]
    lines = write_lines(tmp_path / "runs.jsonl", *records)
    (tmp_path / "runs.jsonl.gz").write_bytes(gzip.compress(lines.read_bytes(), 0))
    write_document(tmp_path / "run.json", *records)
    for name in ("runs.jsonl.gz", "run.json"):
        (part,) = parts(tmp_path / name)
        assert [(segment.start, segment.end) for segment in part] == [(0, None)]
    assert len(parts(lines)) > 20


@pytest.mark.parametrize("bad", [1, 2, 17, 39, 40])
@pytest.mark.parametrize("name", ["chatml", "dpo"])
def test_a_bad_line_is_named_by_its_number_in_the_file_whatever_its_segment(
    bad: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", 1_500)
    monkeypatch.setattr(stream, "CHUNK_BYTES", 4_000)
    lines = [json.dumps(case_result(str(number), turn("é" * (number % 7)))) for number in range(40)]
    lines[bad - 1] = lines[bad - 1].replace('"turn_index": 0', '"turn_index": -1')
    source = tmp_path / "runs.jsonl"
    source.write_text("\n\r\n".join(lines), encoding="utf-8")
    options = pe.ExportOptions(name, quality_threshold=0.5)
    if name == "dpo":  # it must be read in full, and of two runs both are
        source.write_text("\n\r\n".join(lines * 2), encoding="utf-8")
    with pytest.raises(pe.BadRecordError, match=r"turn_index: expected an integer from 0") as caught:
        pe.export(source, tmp_path / "out.jsonl", options)
    assert (caught.value.file, caught.value.line) == (str(source), 2 * bad - 1)


def test_an_error_of_the_eval_sets_keeps_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", 1_500)
    source = write_lines(tmp_path / "runs.jsonl", *[case_result(str(number // 2)) for number in range(40)])
    sets = tmp_path / "sets.yaml"
    sets.write_text("id: set\n\ncases: [}", encoding="utf-8")
    options = pe.ExportOptions("dpo", target="trl", prompts=str(sets), quality_threshold=0.5)
    with pytest.raises(pe.BadRecordError, match=r"sets\.yaml:3: "):
        pe.export([source, source], tmp_path / "out.jsonl", options)


def test_sources_keep_their_order_and_may_be_named_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a = write_lines(tmp_path / "a.jsonl", *[case_result(f"a{number}") for number in range(5)])
    b = write_document(tmp_path / "b.json", case_result("b"))
    for part_bytes in (700, 2_500, 1 << 25):
        monkeypatch.setattr(segments, "PART_BYTES", part_bytes)
        pe.export([a, b, a], tmp_path / "out.jsonl")
        lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
        of_a = [f"a{number}" for number in range(5)]
        assert [json.loads(line)["metadata"]["case_id"] for line in lines] == [*of_a, "b", *of_a]
