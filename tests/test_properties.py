"""What the columns write equals what plain Python writes row by row, for traces that nobody has looked at."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_export as pe
from polars_export.pipeline import threshold_reader
from polars_export.sources import segments, window
from tests import rowwise
from tests.builders import document
from tests.strategies import case_results, traces

Json = dict[str, Any]

FORMATS = st.sampled_from(["chatml", "dpo", "sharegpt"])
THRESHOLDS = st.sampled_from([-3.0, 0.0, 0.1, 0.5, 0.8, 1.0])
INDENTS = st.sampled_from([None, 0, 1, 2, 4])
SIZES = st.fixed_dictionaries(
    {
        "chunk": st.sampled_from([16, 700, 5_000, 1 << 20]),
        "batch": st.sampled_from([1, 1 << 20]),
        "part": st.sampled_from([2_000, 1 << 20]),
    }
)


def export(source: bytes, name: str, options: pe.ExportOptions, sizes: dict[str, int], ending: str) -> bytes | None:
    """Export a file of these bytes, reading and working on so many bytes at a time."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(window, "CHUNK_BYTES", sizes["chunk"])
        patch.setattr(threshold_reader, "BATCH_BYTES", sizes["batch"])
        patch.setattr(segments, "PART_BYTES", sizes["part"])
        path, output = Path(folder) / name, Path(folder) / f"out.{ending}"
        path.write_bytes(source)
        try:
            report = pe.export(path, output, options)
        except pe.NothingToExportError:
            return None
        assert report.exported + sum(report.dropped.values()) == report.traces_read
        return output.read_bytes()


def shuffled(value: Any, rng: random.Random) -> Any:  # noqa: ANN401 - any JSON value
    """Put the keys of every object into another order."""
    if isinstance(value, dict):
        keys = rng.sample(list(value), len(value))
        return {key: shuffled(value[key], rng) for key in keys}
    return [shuffled(item, rng) for item in value] if isinstance(value, list) else value


@given(
    cases=st.lists(case_results(), max_size=6),
    format_name=FORMATS,
    threshold=THRESHOLDS,
    metadata=st.booleans(),
    indent=INDENTS,
    ascii_only=st.booleans(),
    sizes=SIZES,
    seed=st.integers(0, 999),
)
def test_a_results_document_exports_like_row_by_row_and_as_parquet(  # noqa: PLR0913 - one argument per dimension
    *,
    cases: list[Json],
    format_name: str,
    threshold: float,
    metadata: bool,
    indent: int | None,
    ascii_only: bool,
    sizes: dict[str, int],
    seed: int,
) -> None:
    rng = random.Random(seed)  # noqa: S311 - data
    text = json.dumps(shuffled(document(*cases), rng), indent=indent, ensure_ascii=ascii_only).encode()
    options = pe.ExportOptions(format_name, quality_threshold=threshold, include_metadata=metadata)
    expected = rowwise.export(cases, format_name, threshold, metadata=metadata)
    assert export(text, "run.json", options, sizes, "jsonl") == expected
    parquet = export(text, "run.json", options, sizes, "parquet")
    rows = pl.read_parquet(parquet).to_dicts() if parquet else []
    lines = expected.split(b"\n")[:-1] if expected else []
    assert [without_nulls(row) for row in rows] == [json.loads(line) for line in lines]


def without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Drop the keys of objects that are null, as JSON lines do."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


@given(
    records=st.lists(traces(), min_size=1, max_size=8),
    format_name=FORMATS,
    threshold=THRESHOLDS,
    end=st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n \t\n"]),
    ends_with_newline=st.booleans(),
    sizes=SIZES,
)
def test_lines_and_python_objects_export_like_row_by_row(  # noqa: PLR0913 - one argument per dimension
    *,
    records: list[Json],
    format_name: str,
    threshold: float,
    end: bytes,
    ends_with_newline: bool,
    sizes: dict[str, int],
) -> None:
    lines = end.join(json.dumps(record).encode() for record in records) + (end if ends_with_newline else b"")
    options = pe.ExportOptions(format_name, quality_threshold=threshold)
    expected = rowwise.export(records, format_name, threshold)
    assert export(lines, "runs.jsonl", options, sizes, "jsonl") == expected
    try:
        data: bytes | None = pe.export_traces(records, options)
    except pe.NothingToExportError:
        data = None
    assert data == expected
