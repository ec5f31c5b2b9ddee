"""How long each step takes for one chunk of lines, so that a change shows where its time went."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import polars_export as pe
from benchmarks.data import RUNS_PER_CASE, case_results
from polars_export.conversation import reference_conversations
from polars_export.decode import TraceDecoder
from polars_export.flatten import flatten
from polars_export.formats import record_format
from polars_export.schema import Detail
from polars_export.scoring import qualifies
from polars_export.selection import candidates, pairs
from polars_export.sources import Reading, find_sources
from polars_export.tables import Tables
from polars_export.writers import encode
from polars_export.writers.parquet import ParquetWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from polars_export.chunk import Chunk
    from polars_export.decode import Decoded
    from polars_export.flatten import Batch

    Benchmark = Callable[..., Any]

CHUNK_TRACES = 100  # about what a chunk holds
FORMATS = ["chatml", "dpo", "sharegpt"]


@dataclass(frozen=True)
class Steps:
    """What goes into each step, for one chunk."""

    source: Path
    chunk: Chunk
    decoded: Decoded
    batch: Batch
    tables: Tables


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    source = tmp_path_factory.mktemp("data") / "runs.jsonl"
    with source.open("w", encoding="utf-8") as file:
        for case in islice(case_results(), CHUNK_TRACES):
            file.write(json.dumps(case, ensure_ascii=False, separators=(",", ":")) + "\n")
    chunk = next(Reading(find_sources(source)).chunks())
    assert len(chunk.spans) == CHUNK_TRACES
    decoded = TraceDecoder(Detail.RECORDS).decode(chunk)
    batch = flatten(decoded, sort_arguments=True)
    return Steps(source, chunk, decoded, batch, Tables.of(batch))


@pytest.mark.benchmark(group="1 read")
def test_read(benchmark: Benchmark, steps: Steps) -> None:
    def read() -> int:
        return sum(len(chunk.spans) for chunk in Reading(find_sources(steps.source)).chunks())

    assert benchmark(read) == CHUNK_TRACES


@pytest.mark.benchmark(group="2 decode")
@pytest.mark.parametrize("detail", Detail, ids=lambda detail: detail.name.lower())
def test_decode(benchmark: Benchmark, steps: Steps, detail: Detail) -> None:
    assert len(benchmark(TraceDecoder(detail).decode, steps.chunk).traces) == CHUNK_TRACES


@pytest.mark.benchmark(group="3 flatten")
@pytest.mark.parametrize("detail", Detail, ids=lambda detail: detail.name.lower())
def test_flatten(benchmark: Benchmark, steps: Steps, detail: Detail) -> None:
    decoded = TraceDecoder(detail).decode(steps.chunk)
    assert benchmark(flatten, decoded, sort_arguments=True).traces.num_rows == CHUNK_TRACES


@pytest.mark.benchmark(group="4 select")
def test_score_and_threshold(benchmark: Benchmark, steps: Steps) -> None:
    options = pe.ExportOptions(quality_threshold=0.5)

    def select() -> Tables:
        tables = Tables.of(steps.batch)
        return tables.filter(tables.traces.select(qualifies(options)).to_series())

    assert 0 < len(benchmark(select)) < CHUNK_TRACES


@pytest.mark.benchmark(group="4 select")
def test_pairs(benchmark: Benchmark, steps: Steps) -> None:
    traces = steps.tables.traces.with_columns(first_seen="trace").lazy()
    assert benchmark(lambda: pairs(candidates(traces)).collect()).height == CHUNK_TRACES / RUNS_PER_CASE


@pytest.mark.benchmark(group="5 converse")
def test_converse(benchmark: Benchmark, steps: Steps) -> None:
    assert benchmark(reference_conversations, steps.tables).lengths.len() == CHUNK_TRACES


@pytest.mark.benchmark(group="6 render, conversations included")
@pytest.mark.parametrize("name", FORMATS)
def test_render(benchmark: Benchmark, steps: Steps, name: str) -> None:
    options = pe.ExportOptions(name)
    assert benchmark(record_format(options).render, steps.tables, options).records.num_rows >= CHUNK_TRACES / 2


@pytest.mark.benchmark(group="7 write")
@pytest.mark.parametrize("name", FORMATS)
def test_json_lines(benchmark: Benchmark, steps: Steps, name: str) -> None:
    options = pe.ExportOptions(name)
    format_ = record_format(options)
    records = format_.render(steps.tables, options).records
    assert benchmark(encode, records, format_.schema(options), format_.ABSENT).count(b"\n") == records.num_rows


@pytest.mark.benchmark(group="7 write")
@pytest.mark.parametrize("name", FORMATS)
def test_parquet(benchmark: Benchmark, steps: Steps, name: str) -> None:
    options = pe.ExportOptions(name)
    format_ = record_format(options)
    records = format_.render(steps.tables, options).records

    def write() -> bytes:
        file = io.BytesIO()
        writer = ParquetWriter(file, format_.schema(options))
        writer.write(records)
        writer.close()
        return file.getvalue()

    assert pa.parquet.read_table(io.BytesIO(benchmark(write))).num_rows == records.num_rows


@pytest.mark.benchmark(group="8 all")
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@pytest.mark.parametrize("name", FORMATS)
def test_export(benchmark: Benchmark, steps: Steps, name: str, ending: str, tmp_path: Path) -> None:
    report = benchmark(pe.export, steps.source, tmp_path / f"out.{ending}", pe.ExportOptions(name))
    assert report.traces_read == CHUNK_TRACES
