"""Thousands of damaged records: what is valid is exported as row by row, what is not is named, and all are counted."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.execution import conductor
from polars_export.sources import segments, window
from tests import rowwise
from tests.builders import case_result
from tests.faults import mutations
from tests.faults.accounts import export, raw_of, read_rejects, rejects_path
from tests.faults.verdicts import Judged, Verdict, judge

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]

THRESHOLD = 0.25


@dataclass(frozen=True)
class Setting:
    """A way to export the same records."""

    format: str
    workers: int
    part_bytes: int
    chunk_bytes: int
    max_record_bytes: int = 256_000_000


SHORT = [
    Setting("chatml", 1, 1 << 30, 1 << 21),
    Setting("dpo", 1, 200_000, 20_000),
    Setting("sharegpt", 2, 1_000_000, 1 << 21),
]
LONG = [
    SHORT,
    [
        Setting("dpo", 2, 300_000, 1 << 21),
        Setting("chatml", 1, 50_000, 7_000),
        Setting("dpo", 1, 1 << 30, 30_000, max_record_bytes=3_000),
    ],
]


@dataclass(frozen=True)
class Expected:
    """What an export of some records must come to."""

    output: bytes | None
    dropped: dict[str, int]
    rejected: list[tuple[int, bytes]]


def expected_of(records: list[bytes], verdicts: list[Judged], setting: Setting, eval_set_id: str | None) -> Expected:
    """Work out what an export must come to from the verdicts; the numbers of the rejected count from 0."""
    verdicts = [
        Judged(Verdict.INVALID) if len(record) > setting.max_record_bytes else verdict
        for record, verdict in zip(records, verdicts, strict=True)
    ]
    valid = [judged.trace for judged in verdicts if judged.trace is not None]
    counts = Counter(judged.verdict for judged in verdicts)
    dropped = {"below_threshold": counts[Verdict.BELOW], "invalid": counts[Verdict.INVALID]}
    if setting.format == "dpo":
        runs = Counter((trace.get("eval_set_id") if eval_set_id is None else None, trace["case_id"]) for trace in valid)
        dropped["single_run"] = sum(count == 1 for count in runs.values())
        dropped["not_selected"] = sum(count - 2 for count in runs.values() if count > 1)
    rejected = [
        (number, record)
        for number, (record, judged) in enumerate(zip(records, verdicts, strict=True))
        if judged.verdict is Verdict.INVALID
    ]
    output = rowwise.export(valid, setting.format, THRESHOLD, eval_set_id=eval_set_id)
    return Expected(output, {reason: count for reason, count in dropped.items() if count}, rejected)


def check(
    source: Path, records: list[bytes], verdicts: list[Judged], setting: Setting, eval_set_id: str | None = None
) -> None:
    """Export a source and compare all there is to compare."""
    expected = expected_of(records, verdicts, setting, eval_set_id)
    output = source.parent / "out" / f"{setting.format}.jsonl"
    output.parent.mkdir(exist_ok=True)
    options = pe.ExportOptions(
        setting.format,
        quality_threshold=THRESHOLD,
        on_error="skip",
        workers=setting.workers,
        max_record_bytes=setting.max_record_bytes,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conductor, "_LEAST_FOR_PROCESSES", 0)
        patch.setattr(segments, "PART_BYTES", setting.part_bytes)
        patch.setattr(window, "CHUNK_BYTES", setting.chunk_bytes)
        report = export(source, output, options)
    place = "index" if eval_set_id else "line"
    first = 0 if eval_set_id else 1
    rejects = read_rejects(rejects_path(output))
    by_place = {reject[place]: reject for reject in rejects}
    wrong = by_place.keys() ^ {number + first for number, _ in expected.rejected}
    assert not wrong, [(at, records[at - first][:3_000], by_place.get(at, {}).get("error")) for at in sorted(wrong)[:3]]
    for reject, (number, record) in zip(rejects, expected.rejected, strict=True):
        assert (reject["source"], reject[place], reject["bytes"]) == (str(source), number + first, len(record))
        assert reject["raw"] == raw_of(record) or (
            len(record) > 10_000 and raw_of(record).startswith(reject["raw"][:-40])
        )
    assert report.dropped == expected.dropped
    assert output.read_bytes() == expected.output


def lines_for(seed: int, count: int) -> list[bytes]:
    random = Random(seed)  # noqa: S311 - chance decides what is tested, and nothing else
    first = mutations.write(case_result("first"))  # by it the file is recognised
    return b"\n".join([first, *(mutations.mutated(random) for _ in range(count))]).split(b"\n")


def fuzz_lines(seed: int, count: int, settings: list[Setting], folder: Path) -> Counter[Verdict]:
    lines = lines_for(seed, count)
    source = folder / "lines.jsonl"
    source.write_bytes(b"\n".join(lines) + b"\n")
    verdicts = [judge(line, THRESHOLD) for line in lines]
    for setting in settings:
        print(f"lines of seed {seed}, {count} mutations, {setting}")  # noqa: T201 - shown where a test fails
        check(source, lines, verdicts, setting)
    return Counter(judged.verdict for judged in verdicts)


def fuzz_document(seed: int, count: int, settings: list[Setting], folder: Path) -> Counter[Verdict]:
    """Do the same with those that can be elements of an array without breaking it."""
    elements = [line.strip(b" \t\r") for line in lines_for(seed, count)]
    elements = [element for element in elements if _is_json(element)]
    source = folder / "document.json"
    parts = [element if number % 7 else element + b"\n  " for number, element in enumerate(elements)]
    source.write_bytes(b'{"eval_set_id": "set", "case_results": [' + b", ".join(parts) + b"]}")
    verdicts = [judge(element, THRESHOLD, in_document=True) for element in elements]
    for setting in settings:
        print(f"document of seed {seed}, {count} mutations, {setting}")  # noqa: T201 - as above
        check(source, elements, verdicts, setting, eval_set_id="set")
    return Counter(judged.verdict for judged in verdicts)


def _is_json(element: bytes) -> bool:
    try:
        json.loads(element.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return False
    return True


def test_damaged_lines_cost_only_themselves(tmp_path: Path) -> None:
    counts = fuzz_lines(1, 1_000, SHORT, tmp_path)
    assert min(counts[Verdict.VALID], counts[Verdict.BELOW], counts[Verdict.INVALID]) > 80


def test_damaged_case_results_cost_only_themselves(tmp_path: Path) -> None:
    counts = fuzz_document(2, 1_000, SHORT[:2], tmp_path)
    assert min(counts[Verdict.VALID], counts[Verdict.BELOW], counts[Verdict.INVALID]) > 50


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 125))
def test_a_hundred_thousand_damaged_lines_cost_only_themselves(seed: int, tmp_path: Path) -> None:
    counts = fuzz_lines(seed, 4_000, LONG[seed % 2], tmp_path)
    assert min(counts[Verdict.VALID], counts[Verdict.BELOW], counts[Verdict.INVALID]) > 200


@pytest.mark.long
@pytest.mark.parametrize("seed", range(200, 205))
def test_many_damaged_case_results_cost_only_themselves(seed: int, tmp_path: Path) -> None:
    counts = fuzz_document(seed, 4_000, LONG[seed % 2][:2], tmp_path)
    assert min(counts[Verdict.VALID], counts[Verdict.BELOW], counts[Verdict.INVALID]) > 200
