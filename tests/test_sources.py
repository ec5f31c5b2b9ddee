"""Every kind of source is recognised by its content, decompressed and read in order."""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Callable, Iterator  # noqa: TC003
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

import polars_export as pe
from polars_export.inputs.eval_results.decoder import TraceDecoder
from polars_export.inputs.find import find_sources
from polars_export.inputs.partition import partition
from polars_export.inputs.read_options import ReadOptions
from polars_export.inputs.reader import SourceReader
from polars_export.sources import json_scan, segments, window
from polars_export.tables.projection import Projection
from tests.builders import case_result, document, scored_trace, turn, write_document, write_lines

if TYPE_CHECKING:
    from pathlib import Path

    from polars_export.sources.chunk import Chunk

CODECS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": lambda data: pa.Codec("zstd").compress(data, asbytes=True),
}
ALL = ReadOptions()
DOCUMENT = json.dumps(document(case_result("a"), case_result("b")), indent=2).encode()
LINES = b"".join(json.dumps(case_result(name)).encode() + b"\n" for name in ("a", "b"))
SCORED = b"".join(json.dumps(scored_trace(name)).encode() + b"\n" for name in ("a", "b"))


def cases(source: object) -> list[str]:
    return pe.read_traces(source)["case_id"].to_list()  # type: ignore[arg-type]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("content", [DOCUMENT, LINES, SCORED], ids=["document", "case results", "scored traces"])
@pytest.mark.parametrize("chunk_bytes", [8, 300, 1 << 21])
def test_every_kind_is_recognised_whatever_its_name(
    content: bytes, codec: str, chunk_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", chunk_bytes)
    source = tmp_path / "no-ending"
    source.write_bytes(CODECS[codec](content))
    assert cases(source) == ["a", "b"]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("content", [DOCUMENT, LINES, SCORED], ids=["document", "case results", "scored traces"])
def test_standard_input_is_read_like_a_file(content: bytes, codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(CODECS[codec](content)))))
    assert cases("-") == ["a", "b"]


def test_compressed_streams_of_several_parts_are_read_whole(tmp_path: Path) -> None:
    source = tmp_path / "runs.jsonl.gz"
    source.write_bytes(gzip.compress(LINES, mtime=0) + gzip.compress(SCORED))
    assert cases(source) == ["a", "b", "a", "b"]


def test_a_document_may_name_its_eval_set_last(tmp_path: Path) -> None:
    source = tmp_path / "run.json"
    source.write_text(json.dumps({"case_results": [case_result("a")], "eval_set_id": "late"}), encoding="utf-8")
    assert pe.read_traces(source)["eval_set_id"].to_list() == ["late"]


def test_such_a_document_cannot_be_read_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.dumps({"case_results": [case_result("a")], "eval_set_id": "late"}).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))
    with pytest.raises(pe.SourceError, match="a piped document must have its eval_set_id before"):
        cases("-")


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    source = tmp_path / "runs.jsonl"
    for content in (LINES, DOCUMENT):
        for codec in CODECS.values():
            source.write_bytes(codec(b"\xef\xbb\xbf" + content))
            assert cases(source) == ["a", "b"]


RECORD = b'{"messages": [], "metadata": {"case_id": "a", "score": 1.0}}'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.json", b"", "empty.json: the file is empty"),
        ("blank.json", b" \n\n ", "blank.json: the file is empty"),
        ("report.json", b'{"schema_version": 1, "cases": []}', "a report artifact holds no traces"),
        ("set.json", b'{"id": "s", "cases": []}', "an eval set holds no traces"),
        ("records.jsonl", RECORD, "the records of an export hold no traces"),
        ("other.json", b'{"b": 1, "a": 2}', "expected eval results .*, found an object with a, b"),
        ("nothing.json", b"{}", "found an object with no keys"),
        ("array.json", b"\n[1]", r"array.json: a JSON array of other values holds no traces; expected eval results"),
        ("text.json", b"\nhello", r"text.json:2: \$: expected a JSON object, found text that starts with 'hello'"),
        ("cut.json", b'{"eval_set_id": "s", "case', r"expected the rest of the document, found the end of the file"),
        ("odd.json", b'{"eval_set_id" 3}', "expected `:`, found `3`"),
        ("gz.json", gzip.compress(LINES, mtime=0)[:-9], "damaged gzip data: "),
        ("zst.json", CODECS["zstd"](LINES)[:-9], "damaged zstd data: "),
        ("flipped.json", gzip.compress(LINES, mtime=0)[:-6] + b"-flip-", "damaged gzip data: "),
    ],
)
def test_a_source_without_traces_is_an_error(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(pe.InputError, match=message):
        cases(tmp_path / name)


def test_keys_without_end_are_not_read_or_named_without_end(tmp_path: Path) -> None:
    source = tmp_path / "run.json"
    source.write_bytes(b'{"' + b"k" * 5_000 + b'": 1}')
    with pytest.raises(pe.SourceError, match=r"found an object with k{40}$"):
        cases(source)
    source.write_bytes(b"{" + b'"a": 1, ' * 10_001)
    with pytest.raises(pe.SourceError, match=r"found an object with a$"):
        cases(source)


DAMAGED: dict[str, tuple[Callable[[str], str], str]] = {
    "cut in a case": (lambda text: text[:-400], "expected the rest of the case result, found the end of the file"),
    "cut behind a case": (
        lambda text: text[: text.rindex('"summary"') - 6].rstrip("], \n"),
        r"results\[2\]: expected `,` or `\]` before it, found the end of the file",
    ),
    "cut behind the cases": (lambda text: text.rstrip("}\n "), "expected valid JSON around the case results"),
    "more behind": (lambda text: text + "{}", "expected valid JSON around the case results"),
    "no eval set": (lambda text: text.replace('"eval_set_id"', '"other"'), r"\$\.eval_set_id: .* found no such field"),
    "eval set a number": (lambda text: text.replace('"set"', "5"), r"\$\.eval_set_id: .* found the number 5"),
    "cases an object": (lambda _: '{"eval_set_id": "s", "case_results": {}}', "expected an array, found an object"),
    "a case a number": (lambda text: text.replace("[\n", "[\n7,", 1), r"case_results\[0\]: .* found the number 7"),
    "no comma": (lambda text: text.replace("    },\n    {\n", "    }\n    {\n"), r"results\[1\]: expected `,` or `\]`"),
    "cases twice": (
        lambda text: text.rstrip("}\n ") + ', "case_results": [1]}',
        "expected one such field, found another",
    ),
    "comma at the end": (
        lambda text: text.replace("    }\n  ],", "    },\n  ],"),
        "expected a case result behind the `,`",
    ),
}


@pytest.mark.parametrize("chunk_bytes", [8, 1 << 21])
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_document_is_refused(
    damage: str, chunk_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", chunk_bytes)
    change, message = DAMAGED[damage]
    text = change(DOCUMENT.decode())
    assert text != DOCUMENT.decode()
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(pe.BadRecordError, match=message):
        cases(tmp_path / "run.json")


def read(sources: object, limits: ReadOptions = ALL) -> Iterator[Chunk]:
    for part in partition(find_sources(sources)):  # type: ignore[arg-type]
        for segment in part:
            for _, chunk in SourceReader(segment, None, limits).chunks():
                yield chunk


def decoded(source: Path, limits: ReadOptions) -> tuple[list[str], list[int], str | None]:
    """Return the cases of a source, the positions of what is rejected, and what ends the reading before its time."""
    found: list[str] = []
    rejected: list[int] = []
    try:
        for chunk in read(source, limits):
            of_chunk = TraceDecoder(Projection.FULL).decode(chunk)
            found += of_chunk.columns.traces["case_id"]
            rejected += [rejected_record.position for rejected_record in of_chunk.rejected]
    except pe.InputError as error:
        return found, rejected, str(error).removeprefix(f"{source}:").lstrip()
    return found, rejected, None


@pytest.mark.parametrize("chunk_bytes", [8, 1 << 21])
def test_what_precedes_the_damage_of_a_document_is_read(
    chunk_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", chunk_bytes)
    source = tmp_path / "run.json"
    for change, of_both in (("cut in a case", 1), ("cut behind a case", 2), ("no comma", 1), ("comma at the end", 2)):
        source.write_text(DAMAGED[change][0](DOCUMENT.decode()), encoding="utf-8")
        found, _, problem = decoded(source, ALL)
        assert found == ["a", "b"][:of_both]
        assert problem


FIRST_LINES: dict[str, bytes] = {
    "cut": LINES[:200],
    "cut in a key": b'{"case_id": "x", "invo',
    "cut in a string": b'{"a": "x',
    "cut in an array": b'{"a": [[[',
    "cut behind a backslash": b'{"a": "x\\',
    "a string": b'"hello"',
    "a word": b"hello",
    "an unknown object": b'{"header": 1}',
    "an empty object": b"{}",
    "not UTF-8": b'{"\xff": 1}',
    "NULs": bytes(3_000),
    "deep": b'{"a": ' + b"[" * 10_001,
}


@pytest.mark.parametrize("chunk_bytes", [64, 1 << 21])
@pytest.mark.parametrize("first", FIRST_LINES)
def test_a_bad_first_line_is_one_bad_record_where_that_is_tolerated(
    first: str, chunk_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(json_scan, "MAX_DEPTH", 10_000)
    source = tmp_path / "runs.jsonl"
    source.write_bytes(b"\n" + FIRST_LINES[first] + b"\n" + LINES)
    assert decoded(source, ReadOptions(tolerant=True)) == (["a", "b"], [2], None)
    found, rejected, problem = decoded(source, ALL)
    assert bool(problem) != bool(found)
    if problem:
        source.write_bytes(FIRST_LINES[first])
        with pytest.raises(pe.InputError) as alone:
            cases(source)
        assert decoded(source, ReadOptions(tolerant=True)) == (
            [],
            [],
            str(alone.value).removeprefix(f"{source}:").lstrip(),
        )
    else:
        assert rejected == [2]


def test_a_source_of_another_kind_is_tolerated_only_if_its_first_line_is_all_of_it(tmp_path: Path) -> None:
    source = tmp_path / "runs.jsonl"
    for first in (b"[1]", b'{"id": "s", "cases": []}', RECORD):
        source.write_bytes(first + b"\n" + LINES)
        found, _, problem = decoded(source, ReadOptions(tolerant=True))
        assert not problem
        assert len(found) == LINES.count(b"\n")
        source.write_bytes(first[:-1] + b"\n" + first[-1:] + b"\n" + LINES)
        found, _, problem = decoded(source, ReadOptions(tolerant=True))
        assert problem
        assert not found


@pytest.mark.parametrize("limit", [10_000, 100_000])
@pytest.mark.parametrize("before", [b"hello\n" * 5_000, b"x" * 30_000 + b"\n", b'{"note": "' + b"x" * 30_000 + b'"}\n'])
def test_a_trace_is_looked_for_as_far_as_the_source_goes(
    before: bytes, limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", 1_000)
    source = tmp_path / "runs.jsonl"
    source.write_bytes(before + LINES)
    lines = before.count(b"\n")
    assert decoded(source, ReadOptions(limit, tolerant=True)) == (["a", "b"], list(range(1, lines + 1)), None)
    source.write_bytes(before + before)
    assert decoded(source, ReadOptions(limit, tolerant=True))[2]


def test_a_block_of_nuls_at_the_end_is_one_bad_record(tmp_path: Path) -> None:
    source = tmp_path / "runs.jsonl"
    source.write_bytes(LINES + bytes(4_096))
    assert decoded(source, ALL) == (["a", "b"], [3], None)


@pytest.mark.parametrize("chunk_bytes", [500, 1 << 21])
def test_a_case_result_that_is_too_large_costs_no_other(
    chunk_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", chunk_bytes)
    large = case_result("large", turn("word " * 2_000))
    for others in (["a"], ["a", "b", "c"], [str(number) for number in range(30)]):
        source = write_document(tmp_path / "run.json", *map(case_result, others), large, case_result("behind"))
        assert decoded(source, ReadOptions(10_000)) == ([*others, "behind"], [len(others)], None)
        assert decoded(source, ReadOptions(15_000)) == ([*others, "large", "behind"], [], None)


@pytest.mark.parametrize("chunk_bytes", [500, 1 << 21])
def test_what_is_too_large_around_case_results_is_refused(
    chunk_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", chunk_bytes)
    source = tmp_path / "run.json"
    value = document(case_result("a"))
    source.write_text(json.dumps(value | {"summary": "x" * 50_000}), encoding="utf-8")
    found, _, problem = decoded(source, ReadOptions(10_000))
    assert (found, problem) == (["a"], "$: expected at most 10,000 bytes around the case results, found more")
    if chunk_bytes < 10_000:  # the window has more than that anyway
        for before in (b'{"summary": "' + b"x" * 50_000, b" " * 50_000 + b"{", b'{"' + b"x" * 50_000):
            source.write_bytes(before)
            problem = decoded(source, ReadOptions(10_000, tolerant=True))[2]
            assert problem
            assert "expected a value of at most 10,000 bytes, found a larger one" in problem
        source.write_bytes(DOCUMENT.replace(b"},\n    {", b"}," + b" " * 50_000 + b"{"))
        assert decoded(source, ReadOptions(10_000))[0::2] == (
            ["a"],
            "$.case_results[1]: expected a value of at most 10,000 bytes, found a larger one",
        )


BOMBS: dict[str, tuple[bytes, bytes, int]] = {
    "a line": (LINES, b"a", 2),
    "a line at once": (b"", b"a", 0),
    "NULs": (LINES, b"\0", 2),
    "blank": (LINES, b" ", 2),
    "blank at once": (b"", b"\n", 0),
    "a value": (b'{"a": "', b"a", 0),
    "keys": (b"{", b'"a":1,', 0),
    "a case result": (DOCUMENT[:-400] + b'"', b"a", 1),
    "brackets": (b'{"eval_set_id": "s", "case_results": [', b"[", 0),
    "behind the case results": (DOCUMENT, b" ", 2),
}


@pytest.mark.parametrize("codec", ["gzip", pytest.param("zstd", marks=pytest.mark.long)])
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_file_that_unpacks_to_a_large_one_needs_little_memory(
    bomb: str, codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", 10_000)
    sizes: list[int] = []
    more = window.Window.more

    def spy(self: window.Window) -> bool:
        found = more(self)
        sizes.append(len(self.data))
        return found

    monkeypatch.setattr(window.Window, "more", spy)
    before, filling, whole = BOMBS[bomb]
    source = tmp_path / "bomb"
    source.write_bytes(CODECS[codec](before + filling * (2_000_000 // len(filling))))
    assert source.stat().st_size < 100_000
    found, _, _ = decoded(source, ReadOptions(1_000_000, tolerant=True))
    assert len(found) == whole
    assert max(sizes) <= 1_010_000


def test_reading_a_large_source_needs_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", 10_000)
    records = [case_result(str(number), turn("word " * 200)) for number in range(200)]
    write_document(tmp_path / "run.json", *records)
    write_lines(tmp_path / "runs.jsonl", *records)
    for name in ("run.json", "runs.jsonl"):
        chunks = [(len(chunk.data), len(chunk.spans)) for chunk in read(tmp_path / name)]
        assert max(size for size, _ in chunks) <= 20_000
        assert sum(count for _, count in chunks) == 200


def test_a_large_record_does_not_make_the_chunks_behind_it_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", 10_000)
    records = [case_result("large", turn("word " * 100_000)), *[case_result(str(number)) for number in range(300)]]
    source = write_lines(tmp_path / "runs.jsonl", *records)
    sizes = [len(chunk.data) for chunk in read(source)]
    assert max(sizes) > 500_000
    assert max(sizes[1:]) <= 10_000


@pytest.mark.parametrize("part_bytes", [1_000, 1 << 25])
@pytest.mark.parametrize("name", ["chatml", "dpo"])
def test_progress_grows_to_the_size_of_the_sources(
    name: str, part_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", 700)
    monkeypatch.setattr(segments, "PART_BYTES", part_bytes)
    sources = tmp_path / "sources"
    sources.mkdir()
    write_document(sources / "a.json", case_result(), case_result())
    (sources / "b.jsonl.gz").write_bytes(gzip.compress(LINES, mtime=0))
    write_lines(sources / "c.jsonl", *[case_result()] * 20)
    (sources / "d.json").write_text('{"schema_version": 1, "cases": []}', encoding="utf-8")
    size = sum(path.stat().st_size for path in sources.iterdir())
    progress: list[tuple[int, int | None, int]] = []
    options = pe.ExportOptions(name)
    report = pe.export(sources, tmp_path / "out.jsonl", options, on_progress=lambda *so_far: progress.append(so_far))
    assert progress[-1] == (size, size, 24)
    assert progress == sorted(progress)
    assert len(progress) > 10
    assert (report.bytes_read, report.traces_read) == (size, 24)


def test_what_is_piped_has_no_known_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(LINES))))
    progress: list[tuple[int, int | None, int]] = []
    pe.export("-", tmp_path / "out.jsonl", on_progress=lambda *so_far: progress.append(so_far))
    assert (progress[-1][1], progress[-1][2]) == (None, 2)
