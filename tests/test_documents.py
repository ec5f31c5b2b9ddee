"""The case results of a document are cut as its JSON says, whatever it looks like and however small the window is."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polars_export.errors import BadRecordError
from polars_export.sources import array_lookahead, window
from polars_export.sources.array_lookahead import ArrayLookahead
from polars_export.sources.chunk import RAW_BYTES, OversizedRecord
from polars_export.sources.json_document import ArrayLayout
from polars_export.sources.json_scan import JsonScan
from polars_export.sources.stream import ByteStream
from polars_export.sources.window import Window
from tests.builders import case_result, document, turn

if TYPE_CHECKING:
    import msgspec

    from polars_export.sources.chunk import Chunk

LAYOUT = ArrayLayout(("case_results",), ("eval_set_id",), "case result", needs_header=True)
TEXTS = ['},{"case_id":', '"}, {"case_id": "', '\n    },\n    {\n      "case_id": ', "}]", "\\", '\\"', "{[", "é😀", ""]
PARTS: list[Any] = [[], {}, [[]], [{}], {"case_id": {}}, [{"a": "]"}, {"b": [1]}]]
VALUES = st.sampled_from([*TEXTS, *PARTS, 0, -1.5e300, True, None])
NESTED = st.lists(st.fixed_dictionaries({"case_id": VALUES}, optional={"more": VALUES}), max_size=3)
CASES = st.fixed_dictionaries({"case_id": VALUES}, optional={"of": NESTED, "in": st.lists(NESTED, max_size=2)})
ODD_CASES = st.dictionaries(st.sampled_from([*TEXTS, "case_id", "score"]), VALUES, max_size=2)
WINDOWS = st.sampled_from([1, 8, 60, 200, 1000, 1 << 16])
AROUND = st.dictionaries(st.sampled_from(["summary", "timestamp", "a"]), VALUES, max_size=2)


class Style:
    """Where a document has white space: as a serializer puts it, or anywhere."""

    def __init__(self, newline: str, indent: str, comma: str = ",", colon: str = ": ") -> None:
        self._newline, self._indent = newline, indent
        self._comma, self._colon = comma, colon

    def line(self, depth: int) -> str:
        return self._newline + self._indent * depth if self._newline else ""

    def comma(self) -> str:
        return self._comma

    def colon(self) -> str:
        return self._colon

    def write(self, value: object, depth: int = 0) -> str:
        if isinstance(value, dict):
            parts = [json.dumps(key) + self.colon() + self.write(part, depth + 1) for key, part in value.items()]
            return self._enclose("{", parts, "}", depth)
        if isinstance(value, list):
            return self._enclose("[", [self.write(part, depth + 1) for part in value], "]", depth)
        return json.dumps(value, ensure_ascii=depth % 2 == 0)

    def _enclose(self, opening: str, parts: list[str], closing: str, depth: int) -> str:
        if not parts:
            return opening + closing
        inside = "".join(self.line(depth + 1) + part + self.comma() for part in parts[:-1])
        return opening + inside + self.line(depth + 1) + parts[-1] + self.line(depth) + closing


class Mixed(Style):
    """No two places need be alike."""

    def __init__(self, draw: st.DrawFn) -> None:
        super().__init__("", "")
        self._spaces = draw(st.lists(st.text(" \t\r\n", max_size=2), min_size=1, max_size=20))
        self._next = 0

    def line(self, depth: int) -> str:
        self._next += 1 + depth
        return self._spaces[self._next % len(self._spaces)]

    def comma(self) -> str:
        return self.line(1) + "," + self.line(0)

    def colon(self) -> str:
        return self.line(0) + ":" + self.line(1)


STYLES = {
    "two spaces": Style("\n", "  "),
    "four spaces": Style("\n", "    "),
    "tabs": Style("\n", "\t"),
    "no indent": Style("\n", ""),
    "windows": Style("\r\n", "  "),
    "compact": Style("", "", ",", ":"),
    "on one line": Style("", "", ", "),
}


@st.composite
def styles(draw: st.DrawFn) -> Style:
    return Mixed(draw) if draw(st.booleans()) else STYLES[draw(st.sampled_from(sorted(STYLES)))]


@st.composite
def documents(draw: st.DrawFn) -> tuple[list[Any], bytes]:
    """Some cases, and the text of a document that holds them."""
    cases = draw(st.lists(CASES | ODD_CASES if draw(st.booleans()) else CASES, max_size=12))
    value: dict[str, Any] = {**draw(AROUND), "eval_set_id": "set", "case_results": cases}
    if draw(st.booleans()):
        value = {key: value[key] for key in reversed(value)}
    return cases, draw(styles()).write(value).encode()


def chunks_of(
    text: bytes, window_bytes: int, limit: int = window.MAX_RECORD_BYTES, found: list[bytes] | None = None
) -> list[tuple[Chunk, list[bytes]]]:
    """Return the chunks of a document with their records, read through a window of some size.

    The records are added to those found as they come, also where there is an error behind them.
    """
    found = [] if found is None else found
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(window, "CHUNK_BYTES", window_bytes)
        path = Path(folder) / "run.json"
        path.write_bytes(text)
        with ByteStream(str(path)) as opened:
            chunks = []
            for chunk in LAYOUT.chunks(Window(opened, limit)):
                chunks.append((chunk, [bytes(chunk.data[start:end]) for start, end in chunk.spans]))
                found += chunks[-1][1]
            return chunks


def records_of(text: bytes, window_bytes: int) -> list[bytes]:
    return [record for _, records in chunks_of(text, window_bytes) for record in records]


def read_up_to(
    text: bytes, window_bytes: int, limit: int = window.MAX_RECORD_BYTES
) -> tuple[list[bytes], BadRecordError | None]:
    """Return the records of a document that come before what is wrong with it, and that."""
    found: list[bytes] = []
    try:
        chunks_of(text, window_bytes, limit, found)
    except BadRecordError as error:
        return found, error
    return found, None


def outcome(text: bytes, window_bytes: int) -> tuple[list[bytes], str | None]:
    """Return the records of a document, and what is wrong with it."""
    found, error = read_up_to(text, window_bytes)
    return found, f"{error.json_path}: {error.expected}, {error.found}" if error else None


def scanned_outcome(text: bytes, window_bytes: int) -> tuple[list[bytes], str | None]:
    """Return the same without looking ahead."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ArrayLookahead, "elements", lambda *_: [])
        return outcome(text, window_bytes)


def scans(text: bytes, window_bytes: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many case results are scanned bracket by bracket."""
    scanned: list[int] = []
    scan = JsonScan.end_of_nested

    def spy(self: JsonScan, at: int) -> int | None:
        scanned.append(at)
        return scan(self, at)

    monkeypatch.setattr(JsonScan, "end_of_nested", spy)
    records_of(text, window_bytes)
    return len(scanned)


def runs(count: int, *, words: int = 20) -> dict[str, Any]:
    return document(*[case_result(str(number), turn("word " * words)) for number in range(count)])


def separated_by_spaces(cases: list[dict[str, Any]]) -> bytes:
    """Return a document in which no two case results are separated by the same bytes."""
    parts = [json.dumps(case) + " " * number for number, case in enumerate(cases, 1)]
    return ('{"eval_set_id": "set", "case_results": [' + ",".join(parts) + "]}").encode()


@given(documents(), WINDOWS)
def test_the_records_are_the_elements_of_case_results(made: tuple[list[Any], bytes], window_bytes: int) -> None:
    cases, text = made
    chunks = chunks_of(text, window_bytes)
    assert [json.loads(record) for _, records in chunks for record in records] == cases
    assert [position for chunk, _ in chunks for position in chunk.positions] == list(range(len(cases)))
    assert all(chunk.array_path == "$.case_results" and chunk.header == '{"eval_set_id":"set"}' for chunk, _ in chunks)


@given(documents(), WINDOWS, st.sampled_from([60, 100, 150, 10_000]))
def test_a_record_that_is_too_large_is_skipped_and_its_neighbours_are_not(
    made: tuple[list[Any], bytes], window_bytes: int, limit: int
) -> None:
    _, text = made
    whole = records_of(text, 1 << 16)
    around, problem = read_up_to(text, window_bytes, limit)
    if problem:  # what stands around the case results may be too large, too
        assert problem.json_path == "$"
        assert len(text) > limit
        assert len(around) in {0, len(whole)}
        return
    chunks = chunks_of(text, window_bytes, limit)
    found = [
        (position, record, chunk.oversized)
        for chunk, records in chunks
        for position, record in zip(chunk.positions, records, strict=True)
    ]
    assert found == [
        (index, record[:RAW_BYTES], OversizedRecord(limit, len(record)) if len(record) > limit else None)
        for index, record in enumerate(whole)
    ]


@given(documents(), WINDOWS)
def test_looking_ahead_makes_no_difference(made: tuple[list[Any], bytes], window_bytes: int) -> None:
    _, text = made
    assert outcome(text, window_bytes) == scanned_outcome(text, window_bytes)


@given(documents(), WINDOWS, st.data())
def test_a_document_that_is_cut_off_is_refused_as_by_a_scan(
    made: tuple[list[Any], bytes], window_bytes: int, data: st.DataObject
) -> None:
    _, text = made
    cut = text[: data.draw(st.integers(text.index(b"["), len(text) - 1))]
    assert outcome(cut, window_bytes)[1]
    assert outcome(cut, window_bytes) == scanned_outcome(cut, window_bytes)


@given(documents(), WINDOWS, st.data())
def test_a_damaged_document_is_read_or_refused_as_by_a_scan(
    made: tuple[list[Any], bytes], window_bytes: int, data: st.DataObject
) -> None:
    _, text = made
    marks = [at for at, byte in enumerate(text) if byte in b'{}[],:"']
    at = data.draw(st.sampled_from(marks))
    damage = data.draw(st.sampled_from([b"", b",", b"}", b"{", b"]", b'"', b"7", b"\\", b"\xff", b"\n", b"\x00"]))
    damaged = text[:at] + damage + text[at + data.draw(st.integers(0, 1)) :]
    assert outcome(damaged, window_bytes) == scanned_outcome(damaged, 1 << 16)


@pytest.mark.parametrize("window_bytes", [1, 2_000, 30_000, 1 << 21])
@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_cut_alike(style: str, window_bytes: int) -> None:
    value = runs(100)
    records = records_of(STYLES[style].write(value).encode(), window_bytes)
    assert [json.loads(record) for record in records] == value["case_results"]


@pytest.mark.parametrize("style", ["two spaces", "compact", "on one line"])
def test_the_window_may_end_anywhere(style: str) -> None:
    nested = {"case_id": "b", "of": [{"case_id": "x"}, {"case_id": "y"}]}
    cases: list[dict[str, Any]] = [{"case_id": "a"}, nested, {"case_id": "c"}]
    text = STYLES[style].write(document(*cases)).encode()
    for window_bytes in range(1, len(text) + 2):
        assert [json.loads(record) for record in records_of(text, window_bytes)] == cases


def with_element(element: str, place: int, cases: list[Any]) -> bytes:
    """Return a document with some text between two case results."""
    text = json.dumps(document(*cases[:place], {}, *cases[place:]), indent=2)
    assert text.count("{}") == 1
    return text.replace("{}", element).encode()


@pytest.mark.parametrize("other", ["7", "[]", '[{"case_id": "d"}]', "null", '"}"', "nul", "NaN"])
@pytest.mark.parametrize("window_bytes", [8, 1 << 16])
def test_what_is_no_object_is_a_record_like_others_wherever_it_stands(other: str, window_bytes: int) -> None:
    cases: list[Any] = [{"case_id": name} for name in "abc"]
    for place in range(4):
        text = with_element(other, place, cases)
        found = [record.decode() for record in records_of(text, window_bytes)]
        assert [record if at == place else json.loads(record) for at, record in enumerate(found)] == [
            *cases[:place],
            other,
            *cases[place:],
        ]


@pytest.mark.parametrize("other", [",", ":", "}", ""])
@pytest.mark.parametrize("window_bytes", [8, 1 << 16])
def test_what_is_no_value_ends_a_document_wherever_it_stands(other: str, window_bytes: int) -> None:
    cases: list[Any] = [{"case_id": name} for name in "abc"]
    for place in range(3):
        text = with_element(other, place, cases)
        found, problem = outcome(text, window_bytes)
        assert [json.loads(record) for record in found] == cases[:place]
        assert problem
        assert problem.startswith(f"$.case_results[{place}]: an object, ")


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("style", STYLES)
def test_few_case_results(style: str, count: int) -> None:
    value = runs(count)
    records = records_of(STYLES[style].write(value).encode(), 1 << 21)
    assert [json.loads(record) for record in records] == value["case_results"]


@pytest.mark.parametrize("style", STYLES)
def test_objects_that_part_alike_deeper_are_no_case_results(style: str) -> None:
    """In compact documents they do; a wrong guess is found out, and the case scanned."""
    cases = [{"case_id": str(number), "of": [{"case_id": "x"}, {"case_id": "y"}]} for number in range(200)]
    text = STYLES[style].write(document(*cases)).encode()
    for window_bytes in (8, 300, 5_000, 1 << 21):
        assert [json.loads(record) for record in records_of(text, window_bytes)] == cases


@pytest.mark.parametrize("window_bytes", [20_000, 1 << 21])
@pytest.mark.parametrize("style", sorted(STYLES.keys() - {"on one line"}))
def test_no_case_result_is_scanned_where_a_serializer_wrote_them(
    style: str, window_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scans(STYLES[style].write(runs(100)).encode(), window_bytes, monkeypatch) == 0


def test_one_case_result_is_scanned_to_learn_their_separator(monkeypatch: pytest.MonkeyPatch) -> None:
    assert scans(json.dumps(runs(100)).encode(), 20_000, monkeypatch) == 1


def test_case_results_larger_than_the_window_are_not_scanned(monkeypatch: pytest.MonkeyPatch) -> None:
    value = runs(3)
    value["case_results"] += runs(4, words=4_000)["case_results"]
    assert scans(json.dumps(value, indent=2).encode(), 8_000, monkeypatch) == 0


def test_where_the_style_changes_little_more_is_held() -> None:
    pretty, compact = STYLES["two spaces"].write(runs(40)), STYLES["compact"].write(runs(400)["case_results"])
    text = pretty.replace('"case_results": [', '"case_results": [' + compact[1:-1] + ",", 1).encode()
    chunks = chunks_of(text, 10_000)
    assert sum(len(records) for _, records in chunks) == 440
    assert max(len(chunk.data) for chunk, _ in chunks) <= 8 * 10_000 * 2


def test_where_no_two_separators_are_alike_they_are_scanned(monkeypatch: pytest.MonkeyPatch) -> None:
    text = separated_by_spaces([case_result(str(number)) for number in range(300)])
    assert len(chunks_of(text, 10_000)) < len(text) / 5_000
    assert scans(text, 10_000, monkeypatch) > 250


def test_scanned_chunks_are_no_larger_than_a_window_or_one_case_result() -> None:
    text = separated_by_spaces([case_result("large", turn("word " * 20_000)), *runs(100)["case_results"]])
    chunks = chunks_of(text, 10_000)
    assert len(chunks[0][1]) == 1
    assert max(len(chunk.data) for chunk, _ in chunks[1:]) <= 20_000


def test_wrong_guesses_become_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [{"case_id": str(number), "of": [{"case_id": "x"}, {"case_id": "y"}]} for number in range(200)]
    text = STYLES["compact"].write({**document(*cases), "more": [{"case_id": "x"}, {"case_id": "y"}]}).encode()
    guesses: list[bytes] = []
    decode = array_lookahead._decode  # noqa: SLF001 - the work that is to be rare

    def spy(data: bytes) -> list[msgspec.Raw]:
        guesses.append(data)
        return decode(data)

    monkeypatch.setattr(array_lookahead, "_decode", spy)
    assert [json.loads(record) for record in records_of(text, 1 << 16)] == cases
    assert 1 < len(guesses) < 10


def test_what_is_no_object_makes_no_more_guesses(monkeypatch: pytest.MonkeyPatch) -> None:
    cases: list[Any] = [{"case_id": str(number)} if number % 3 else None for number in range(1, 900)]
    guesses: list[bytes] = []
    decode = array_lookahead._decode  # noqa: SLF001 - as above

    def spy(data: bytes) -> list[msgspec.Raw]:
        guesses.append(data)
        return decode(data)

    monkeypatch.setattr(array_lookahead, "_decode", spy)
    text = json.dumps({"eval_set_id": "set", "case_results": cases}).encode()
    assert [json.loads(record) for record in records_of(text, 1 << 16)] == cases
    assert len(guesses) < 10


@pytest.mark.parametrize("window_bytes", [1, 7, 50, 64, 99, 128, 1 << 16])
@pytest.mark.parametrize("element", ['"' + 'x\\"]}' * 50 + '"', "[" * 200 + "]" * 200, '"' + "y" * 92 + '"'])
def test_what_is_large_and_no_object_costs_no_other(element: str, window_bytes: int) -> None:
    cases: list[Any] = [{"case_id": name} for name in "abc"]
    for place in range(4):
        text = with_element(" " * 61 + element, place, cases)
        chunks = chunks_of(text, window_bytes, 100)
        found = [record.decode() for _, records in chunks for record in records]
        assert found.pop(place) == element
        assert [json.loads(record) for record in found] == cases
        sizes = [chunk.oversized.size for chunk, _ in chunks if chunk.oversized]
        assert sizes == ([len(element)] if len(element) > 100 else [])
