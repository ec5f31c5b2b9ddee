"""What the columns write equals what plain Python writes row by row, for traces that nobody has looked at."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import polars_export as pe
from polars_export.sources import stream
from tests import rowwise
from tests.builders import document
from tests.strategies import case_results, traces

Json = dict[str, Any]

FORMATS = st.sampled_from(["chatml", "dpo", "sharegpt"])
THRESHOLDS = st.sampled_from([-3.0, 0.0, 0.1, 0.5, 0.8, 1.0])
INDENTS = st.sampled_from([None, 0, 1, 2, 4])


def export_bytes(source: bytes, name: str, options: pe.ExportOptions, chunk_bytes: int) -> bytes | None:
    """Export a file of these bytes, reading `chunk_bytes` at a time."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "CHUNK_BYTES", chunk_bytes)
        path, output = Path(folder) / name, Path(folder) / "out.jsonl"
        path.write_bytes(source)
        try:
            report = pe.export(path, output, options)
        except pe.NothingToExportError:
            return None
        assert report.exported + sum(report.left_out.values()) == report.traces_read
        return output.read_bytes()


def shuffled(value: Any, rng: random.Random) -> Any:  # noqa: ANN401 - any JSON value
    """Put the keys of every object into another order."""
    if isinstance(value, dict):
        keys = rng.sample(list(value), len(value))
        return {key: shuffled(value[key], rng) for key in keys}
    return [shuffled(item, rng) for item in value] if isinstance(value, list) else value


@settings(max_examples=80, deadline=None)
@given(
    cases=st.lists(case_results(), max_size=6),
    format_name=FORMATS,
    threshold=THRESHOLDS,
    metadata=st.booleans(),
    indent=INDENTS,
    ascii_only=st.booleans(),
    chunk_bytes=st.sampled_from([16, 700, 5_000, 1 << 20]),
    seed=st.integers(0, 999),
)
def test_a_results_document_exports_like_row_by_row(  # noqa: PLR0913 - one argument per dimension
    *,
    cases: list[Json],
    format_name: str,
    threshold: float,
    metadata: bool,
    indent: int | None,
    ascii_only: bool,
    chunk_bytes: int,
    seed: int,
) -> None:
    text = json.dumps(shuffled(document(*cases), random.Random(seed)), indent=indent, ensure_ascii=ascii_only)  # noqa: S311
    options = pe.ExportOptions(format_name, quality_threshold=threshold, include_metadata=metadata)
    expected = rowwise.export(cases, format_name, threshold, metadata=metadata)
    assert export_bytes(text.encode(), "run.json", options, chunk_bytes) == expected


@settings(max_examples=80, deadline=None)
@given(
    records=st.lists(traces(), min_size=1, max_size=8),
    format_name=FORMATS,
    threshold=THRESHOLDS,
    end=st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n \t\n"]),
    ends_with_newline=st.booleans(),
    chunk_bytes=st.sampled_from([16, 700, 5_000, 1 << 20]),
)
def test_lines_export_like_row_by_row(  # noqa: PLR0913 - one argument per dimension
    *,
    records: list[Json],
    format_name: str,
    threshold: float,
    end: bytes,
    ends_with_newline: bool,
    chunk_bytes: int,
) -> None:
    lines = end.join(json.dumps(record).encode() for record in records) + (end if ends_with_newline else b"")
    options = pe.ExportOptions(format_name, quality_threshold=threshold)
    expected = rowwise.export(records, format_name, threshold)
    assert export_bytes(lines, "runs.jsonl", options, chunk_bytes) == expected


@settings(max_examples=50, deadline=None)
@given(records=st.lists(traces(), max_size=8), format_name=FORMATS, threshold=THRESHOLDS)
def test_python_objects_export_like_row_by_row(records: list[Json], format_name: str, threshold: float) -> None:
    expected = rowwise.export(records, format_name, threshold)
    try:
        data: bytes | None = pe.export_traces(records, pe.ExportOptions(format_name, quality_threshold=threshold))
    except pe.NothingToExportError:
        data = None
    assert data == expected


@settings(max_examples=50, deadline=None)
@given(records=st.lists(case_results(), min_size=1, max_size=6), format_name=FORMATS)
def test_parquet_holds_the_records_of_the_json_lines(records: list[Json], format_name: str) -> None:
    expected = rowwise.export(records, format_name, -3.0)
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "run.json", Path(folder) / "out.parquet"
        source.write_text(json.dumps(document(*records)), encoding="utf-8")
        if expected is None:
            with pytest.raises(pe.NothingToExportError):
                pe.export(source, output, pe.ExportOptions(format_name, quality_threshold=-3.0))
            return
        pe.export(source, output, pe.ExportOptions(format_name, quality_threshold=-3.0))
        rows = pl.read_parquet(output).to_dicts()
    assert [without_nulls(row) for row in rows] == [json.loads(line) for line in expected.split(b"\n")[:-1]]


def without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Drop the keys of objects that are null, as JSON lines do."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value
