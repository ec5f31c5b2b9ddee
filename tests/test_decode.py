"""A bad record is os_errors_reported with file, line and JSON path, what was expected and what was found."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.inputs.eval_results.decoder import TraceDecoder
from polars_export.sources.chunk import RAW_BYTES, Chunk, OversizedRecord
from polars_export.tables.projection import Projection
from tests.builders import call, case_result, result, scored_trace, turn, write_document, write_lines

if TYPE_CHECKING:
    from pathlib import Path


def a_case() -> dict[str, Any]:
    return case_result("a", turn("x"), turn("y", index=1, calls=[call()], results=[result()]), scores=[1.0, 0.5])


def at(case: dict[str, Any], *path: str | int) -> Any:  # noqa: ANN401 - any JSON value
    value: Any = case
    for step in path:
        value = value[step]
    return value


TURNS = ("invocation", "turns")
BAD: dict[str, tuple[tuple[str | int, ...], object, str, str]] = {
    "case_id": ((), {"case_id": 5}, "$.case_id: expected a string", "the number 5"),
    "no invocation": ((), {"invocation": ...}, "$.invocation: expected an object", "no such field"),
    "turns": (("invocation",), {"turns": {}}, "$.invocation.turns: expected an array", "an object"),
    "no model": (("invocation",), {"model": ...}, "$.invocation.model: expected an object", "no such field"),
    "model": (("invocation", "model"), {"model_id": None}, "$.invocation.model.model_id: expected a string", "null"),
    "final": (("invocation",), {"final_response": 1}, "$.invocation.final_response: expected a string or null", "1"),
    "turn": ((*TURNS, 1), {"turn_index": -1}, "turns[1].turn_index: expected an integer from 0", "the number -1"),
    "turn bool": ((*TURNS, 1), {"turn_index": True}, "turns[1].turn_index: expected an integer from 0", "true"),
    "turn 1.5": ((*TURNS, 0), {"turn_index": 1.5}, "turns[0].turn_index: expected an integer from 0", "number 1.5"),
    "turn large": ((*TURNS, 0), {"turn_index": 2**63}, "turns[0].turn_index: expected an integer", "number 92233"),
    "no content": ((*TURNS, 0, "assistant_message"), {"content": ...}, "turns[0].assistant_message.content", "no such"),
    "block": ((*TURNS, 0, "assistant_message"), {"content": ["x"]}, ".content[0]: expected an object", 'string "x"'),
    "block type": ((*TURNS, 0, "assistant_message", "content", 0), {"type": 3}, ".content[0].type", "the number 3"),
    "no block type": ((*TURNS, 0, "assistant_message", "content", 0), {"type": ...}, ".content[0].type", "no such"),
    "text": ((*TURNS, 0, "assistant_message", "content", 0), {"text": []}, ".content[0].text: expected a", "an array"),
    "no calls": ((*TURNS, 0), {"tool_calls": ...}, "turns[0].tool_calls: expected an array", "no such field"),
    "call id": ((*TURNS, 1, "tool_calls", 0), {"id": 1}, "turns[1].tool_calls[0].id: expected a string", "1"),
    "no arguments": ((*TURNS, 1, "tool_calls", 0), {"arguments": ...}, "[0].arguments: expected a JSON value", "no su"),
    "score": (("metric_results", 1, "score"), {"value": "1"}, "[1].score.value: expected a number", '"1"'),
    "score bool": (("metric_results", 1, "score"), {"value": False}, "[1].score.value: expected a number", "false"),
    "no metrics": ((), {"metric_results": ...}, "$.metric_results: expected an array", "no such field"),
}  # fmt: skip


def broken(name: str) -> dict[str, Any]:
    where, change, _, _ = BAD[name]
    case = a_case()
    target = at(case, *where)
    assert isinstance(change, dict)
    for key, value in change.items():
        if value is ...:
            del target[key]
        else:
            target[key] = value
    return case


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_named_by_its_number_and_path(name: str, tmp_path: Path) -> None:
    _, _, expected, found = BAD[name]
    source = write_lines(tmp_path / "runs.jsonl", a_case(), broken(name), a_case())
    with pytest.raises(pe.BadRecordError) as caught:
        pe.export(source, tmp_path / "out.jsonl")
    error = caught.value
    assert (error.file, error.line) == (str(source), 2)
    assert str(error).startswith(f"{source}:2: $.")
    assert expected in str(error)
    assert found in error.found
    assert [path.name for path in tmp_path.iterdir()] == ["runs.jsonl"]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_case_result_is_named_by_its_index_and_path(name: str, tmp_path: Path) -> None:
    _, _, expected, found = BAD[name]
    source = write_document(tmp_path / "run.json", a_case(), a_case(), broken(name))
    with pytest.raises(pe.BadRecordError) as caught:
        pe.export(source, tmp_path / "out.jsonl")
    error = caught.value
    assert (error.file, error.line) == (str(source), None)
    assert error.json_path.startswith("$.case_results[2].")
    assert expected.removeprefix("$.").split(":")[0] in error.json_path
    assert found in error.found


@pytest.mark.parametrize(
    "line",
    [b'{"case_id": "a"', b'{"case_id": NaN}', b'{"case_id": "\\ud800"}', b'{"case_id": "\xff"}', b"{}{}", b"\0", b"nul",
     b'{"case_id": 1e999}', b'{"case_id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"],
    ids=["cut", "NaN", "surrogate", "utf-8", "two", "NUL", "word", "huge number", "deep"],
)  # fmt: skip
def test_a_line_that_is_no_json_is_named_by_its_number(line: bytes, tmp_path: Path) -> None:
    source = tmp_path / "runs.jsonl"
    source.write_bytes(json.dumps(a_case()).encode() + b"\n\n" + line + b"\n" + json.dumps(a_case()).encode())
    with pytest.raises(
        pe.BadRecordError, match=r"runs\.jsonl:3: \$: expected a JSON value on one line, found text that is not \("
    ):
        pe.export(source, tmp_path / "out.jsonl")


def test_an_object_over_two_lines_is_no_line(tmp_path: Path) -> None:
    source = tmp_path / "runs.jsonl"
    source.write_text(json.dumps(a_case(), indent=1), encoding="utf-8")
    with pytest.raises(pe.BadRecordError, match=r"runs\.jsonl:1: "):
        pe.export(source, tmp_path / "out.jsonl")


def test_what_an_export_does_not_need_is_neither_required_nor_checked(tmp_path: Path) -> None:
    case = a_case()
    case["verdict"] = 3
    case["invocation"]["total_usage"] = "none"
    del case["invocation"]["turns"][0]["assistant_message"]["usage"]
    case["invocation"]["turns"][0]["duration"] = []
    source = write_lines(tmp_path / "runs.jsonl", case)
    assert pe.export(source, tmp_path / "out.jsonl").exported == 1
    with pytest.raises(pe.BadRecordError, match=r"expected one of pass, fail, found the number 3|expected an object"):
        pe.read_traces(source)


def test_a_scored_trace_needs_a_score_of_its_own_only_on_lines(tmp_path: Path) -> None:
    assert pe.export(write_lines(tmp_path / "a.jsonl", scored_trace()), tmp_path / "out.jsonl").exported == 1
    with pytest.raises(pe.BadRecordError, match=r"\$\.case_results\[0\]\.metric_results: expected an array"):
        pe.export(write_document(tmp_path / "a.json", scored_trace()), tmp_path / "out.jsonl")


@pytest.mark.parametrize("score", ["0.5", None, True, 10**400])
def test_the_score_of_a_scored_trace_is_a_number(score: object, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.jsonl", scored_trace() | {"score": score})
    with pytest.raises(pe.BadRecordError, match=r"a\.jsonl:1: \$\.score: expected a number, found "):
        pe.export(source, tmp_path / "out.jsonl")


def test_the_score_of_a_case_result_comes_from_its_metrics_alone(tmp_path: Path) -> None:
    cases = [case_result(scores=[]) | {"score": 0.9}, case_result(scores=[0.3]) | {"score": "high"}]
    assert pe.read_traces(write_document(tmp_path / "a.json", *cases))["score"].to_list() == [0.0, 0.3]


def test_a_metric_too_large_for_a_double_is_refused(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.jsonl", case_result(scores=[10**400]))
    with pytest.raises(pe.BadRecordError, match=r"a\.jsonl:1: \$: expected a trace, found something else"):
        pe.export(source, tmp_path / "out.jsonl")


def chunk_of(*lines: bytes) -> Chunk:
    ends = [sum(map(len, lines[: number + 1])) for number in range(len(lines))]
    spans = [(end - len(line), end) for line, end in zip(lines, ends, strict=True)]
    return Chunk("test", memoryview(bytearray(b"".join(lines))), spans, range(1, len(lines) + 1))


def test_what_is_rejected_keeps_the_beginning_of_its_bytes() -> None:
    good, short, long = json.dumps(a_case()).encode(), b"{\xff}", b"[" + b"1," * RAW_BYTES
    chunk = chunk_of(short, good, long)
    decoded = TraceDecoder(Projection.FULL).decode(chunk)
    chunk.data[:] = bytes(len(chunk.data))  # the next chunk reuses the buffer
    assert decoded.columns.traces["case_id"] == ["a"]
    assert [(some.position, some.raw, some.size) for some in decoded.rejected] == [
        (1, short, len(short)),
        (3, long[:RAW_BYTES], len(long)),
    ]
    assert [some.error.line for some in decoded.rejected] == [1, 3]


def test_a_record_that_is_too_large_is_rejected_with_its_size() -> None:
    chunk = replace(chunk_of(b'{"case_id'), oversized=OversizedRecord(256_000_000, 300_000_123))
    decoder = TraceDecoder(Projection.RECORDS)
    decoded = decoder.decode(chunk)
    (rejected,) = decoded.rejected
    assert str(rejected.error) == (
        "test:1: $: expected a record of at most 256,000,000 bytes, found one of 300,000,123 bytes"
    )
    assert (rejected.raw, rejected.size) == (b'{"case_id', 300_000_123)
    assert not len(decoded)
    again = decoder.decode(decoded.chunk)  # what is left of the chunk
    assert (len(again), again.rejected) == (0, [])


GOOD = json.dumps(a_case()).encode()
DEEP = b"[" * 100_000 + b"]" * 100_000
ODD: dict[str, tuple[bytes, bytes, bool]] = {
    "deep needed": (b'"case_id": "a"', b'"case_id": ' + DEEP, False),
    "deep skipped": (b'"case_id": "a"', b'"case_id": "a", "more": ' + DEEP, False),
    "deep arguments": (b'"arguments": {}', b'"arguments": ' + DEEP, False),
    "large skipped": (b'"case_id": "a"', b'"case_id": "a", "more": [1e999, ' + b"1" * 5_000 + b"]", True),
    "large arguments": (b'"arguments": {}', b'"arguments": ' + b"1" * 5_000, False),
    "infinite arguments": (b'"arguments": {}', b'"arguments": 1e999', False),
    "large score": (b'"value": 0.5', b'"value": ' + b"1" * 400, False),
    "large turn": (b'"turn_index": 1', b'"turn_index": 1180591620717411303424', False),
    "NaN skipped": (b'"case_id": "a"', b'"case_id": "a", "more": NaN', False),
    "surrogate skipped": (b'"case_id": "a"', b'"case_id": "a", "more": "\\ud800."', False),
    "escape skipped": (b'"case_id": "a"', b'"case_id": "a", "more": "\\x"', False),
    "UTF-8 skipped": (b'"case_id": "a"', b'"case_id": "a", "more": "\xff"', True),
    "UTF-8 needed": (b'"case_id": "a"', b'"case_id": "\xff"', False),
    "UTF-8 arguments": (b'"arguments": {}', b'"arguments": {"\xff": 1}', False),
    "twice, then bad": (b'"case_id": "a"', b'"case_id": "a", "case_id": 1', False),
    "twice, then good": (b'"case_id": "a"', b'"case_id": 1, "case_id": "a"', True),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_values_are_read_or_rejected_one_record_at_a_time(name: str) -> None:
    old, new, is_read = ODD[name]
    assert old in GOOD
    for detail in (Projection.RECORDS, Projection.CONVERSATIONS, Projection.FULL):
        decoded = TraceDecoder(detail).decode(chunk_of(GOOD, GOOD.replace(old, new, 1), GOOD))
        assert decoded.columns.traces["case_id"] == ["a"] * (2 + is_read)
        assert [some.position for some in decoded.rejected] == [2] * (not is_read)


@pytest.mark.parametrize("detail", Projection)
def test_unknown_fields_and_blocks_are_no_errors(detail: Projection) -> None:
    case = a_case() | {"new": [1]}
    case["invocation"]["turns"][0]["assistant_message"]["content"] += [{"type": "hologram", "text": 5}]
    case["invocation"]["turns"][1]["tool_results"][0]["content"] += [{"type": "smell"}]
    data = json.dumps(case).encode()
    decoded = TraceDecoder(detail).decode(Chunk("test", memoryview(data), [(0, len(data))], [1]))
    assert not decoded.rejected
    assert decoded.columns.traces["case_id"] == ["a"]
    if detail > Projection.SELECTION:
        assert decoded.columns.turns["unknown_blocks"][0] == 1


def test_integers_of_any_size_and_depth_are_exported(tmp_path: Path) -> None:
    deep = "[" * 900 + str(2**70) + "]" * 900
    line = json.dumps(case_result("a", turn(calls=[call(arguments=["deep", 10**400])])))
    source = tmp_path / "runs.jsonl"
    source.write_text(line.replace('"deep"', deep), encoding="utf-8")
    pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions("chatml"))
    record = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))
    (made,) = record["messages"][-1]["tool_calls"]
    assert made["function"]["arguments"] == f"[{deep.replace(str(2**70), '1.1805916207174113e21')},{10**400}]"


def test_what_is_rejected_holds_no_other_record() -> None:
    chunk = Chunk("x", memoryview(b"7{"), [(0, 1), (1, 2)], [1, 2])
    rejected = TraceDecoder(Projection.FULL).decode(chunk).rejected
    assert len(rejected) == 2
    assert [(some.error.__traceback__, some.error.__context__) for some in rejected] == [(None, None)] * 2
