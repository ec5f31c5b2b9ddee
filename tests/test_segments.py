"""However sources are cut into segments and parts, every line is read once, in order, under its own number."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_export as pe
from polars_export.inputs.find import find_sources
from polars_export.inputs.partition import partition
from polars_export.inputs.read_options import ReadOptions
from polars_export.inputs.reader import SourceReader
from polars_export.sources import segments, stream, window
from polars_export.sources.chunk import RAW_BYTES, OversizedRecord
from polars_export.sources.segments import lines_before
from tests.builders import case_result, turn, write_document, write_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from polars_export.inputs.partition import Part

ALL = ReadOptions()
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
FIRST = b'{"invocation":0}'  # by which lines are recognised
LINES = st.binary(max_size=30).map(lambda data: data.replace(b"\n", b"")) | st.sampled_from([b"", b" \t", b"{}"])


def parts(*sources: Path) -> list[Part]:
    return list(partition(find_sources(sources)))


def read(
    path: Path, limits: ReadOptions = ALL, cut: Iterable[Part] = ()
) -> list[tuple[int, bytes, OversizedRecord | None]]:
    """Return the lines of a file with their numbers, read segment by segment, and which are too large."""
    found = []
    before = 0
    for segment in (segment for part in cut or parts(path) for segment in part):
        assert before == lines_before(segment)
        reading = SourceReader(segment, None, limits)
        for _, chunk in reading.chunks():
            for number, (start, end) in zip(chunk.positions, chunk.spans, strict=True):
                found.append((before + number, bytes(chunk.data[start:end]), chunk.oversized))
                with path.open("rb") as file:
                    file.seek(chunk.offset + start)
                    assert file.read(end - start) == chunk.data[start:end]
        before += reading.lines or 0
    text = path.read_bytes()
    assert cut or before == text.count(b"\n") + (not text.endswith(b"\n"))
    return found


@given(
    before=st.lists(st.sampled_from([b"", b"\t "]), max_size=2),
    after=st.lists(LINES, max_size=8),
    end=st.sampled_from([b"\n", b"\r\n"]),
    ends_with_newline=st.booleans(),
    marked=st.booleans(),
    part_bytes=st.integers(1, 60),
    chunk_bytes=st.sampled_from([4, 7, 30, 1 << 21]),
    limit=st.sampled_from([25, 28, 1 << 20]),
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
    limit: int,
) -> None:
    lines = [*before, FIRST, *after]
    text = end.join(lines) + (end if ends_with_newline else b"")
    expected = [
        (number, line, OversizedRecord(limit, len(line)) if len(line) > limit else None)
        for number, line in enumerate(text.split(b"\n"), 1)
        if line.strip(b" \t\r\n")
    ]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        # A part is larger than a byte-order mark: the line behind one that fills a part would start in no part.
        patch.setattr(segments, "PART_BYTES", max(part_bytes, 4) if marked else part_bytes)
        patch.setattr(window, "CHUNK_BYTES", chunk_bytes)
        path = Path(folder) / "runs.jsonl"
        path.write_bytes((BYTE_ORDER_MARK if marked else b"") + text)
        assert read(path, ReadOptions(limit)) == expected


def test_segments_are_of_one_size_and_cover_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", 1_000)
    path = write_lines(tmp_path / "runs.jsonl", *[case_result(str(number)) for number in range(20)])
    size = path.stat().st_size
    every = [part[0] for part in parts(path)]
    assert [segment.start for segment in every] == list(range(0, size, 1_000))
    assert [segment.end for segment in every] == [*range(1_000, size, 1_000), size]
    assert sum(segment.size for segment in every) == size


@pytest.mark.parametrize("chunk_bytes", [300, 1 << 21])
@pytest.mark.parametrize("part_bytes", [1_000, 1 << 25])
@pytest.mark.parametrize("blank", [False, True])
def test_a_line_that_is_too_large_is_skipped_and_its_neighbours_are_not(
    chunk_bytes: int, part_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, blank: bool
) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", part_bytes)
    monkeypatch.setattr(window, "CHUNK_BYTES", chunk_bytes)
    path = tmp_path / "runs.jsonl"
    large = (b" " if blank else b"x") * 50_000
    path.write_bytes(b"\n".join([FIRST, large, b"\r", b"{}", b"y" * 5_000, large]))
    oversized = [
        (2, b"x" * RAW_BYTES, OversizedRecord(5_000, 50_000)),
        (6, b"x" * RAW_BYTES, OversizedRecord(5_000, 50_000)),
    ]
    whole = [(1, FIRST, None), (4, b"{}", None), (5, b"y" * 5_000, None)]
    assert read(path, ReadOptions(5_000)) == sorted(whole if blank else whole + oversized)


def test_segments_inside_a_line_are_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", 1_000)
    monkeypatch.setattr(window, "CHUNK_BYTES", 500)
    path = tmp_path / "runs.jsonl"
    path.write_bytes(FIRST + b"\n" + b"x" * 200_000 + b"\n{}\n")
    counts: list[int] = []
    readinto = stream.ByteStream.readinto

    def spy(self: stream.ByteStream, buffer: memoryview) -> int:
        counts.append(readinto(self, buffer))
        return counts[-1]

    monkeypatch.setattr(stream.ByteStream, "readinto", spy)
    assert [number for number, _, _ in read(path)] == [1, 2, 3]
    assert sum(counts) < 3 * path.stat().st_size


@pytest.mark.parametrize("part_bytes", [100, 1 << 25])
@pytest.mark.parametrize("last", [b"{}\n", b"{}", b'{"a"'])
def test_what_is_appended_while_a_file_is_read_is_left_out(
    part_bytes: int, last: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", part_bytes)
    path = tmp_path / "runs.jsonl"
    lines = [FIRST, *[b"[%d]" % number for number in range(90)]]
    path.write_bytes(b"\n".join([*lines, last]))
    cut = parts(path)
    with path.open("ab") as file:
        file.write(b": 1}\n[1]\n[2]")
    complete = last.rstrip(b"\n") + (b"" if last.endswith(b"\n") else b": 1}")
    assert [line for _, line, _ in read(path, ALL, cut)] == [*lines, complete]


@pytest.mark.parametrize("part_bytes", [100, 1 << 25])
@pytest.mark.parametrize("left", [20, 350, 399])
def test_a_file_that_becomes_shorter_while_it_is_read_is_an_error(
    part_bytes: int, left: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", part_bytes)
    path = tmp_path / "runs.jsonl"
    path.write_bytes(FIRST + b"\n" + b"x" * 200 + b"\n{}\n" * 60)
    cut = parts(path)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(pe.SourceError, match=r"runs\.jsonl: became shorter while it was read"):
        read(path, ALL, cut)


def test_a_document_that_becomes_shorter_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = write_document(tmp_path / "run.json", *[case_result(str(number)) for number in range(20)])
    cut = parts(path)
    path.write_bytes(path.read_bytes()[:-3_000])
    with pytest.raises(pe.BadRecordError, match=r"expected the rest of the case result, found the end of the file"):
        read(path, ALL, cut)


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
    monkeypatch.setattr(window, "CHUNK_BYTES", 4_000)
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
