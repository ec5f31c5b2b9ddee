"""How long each step takes for one chunk of lines, so that a change shows where its time went."""

from __future__ import annotations

import io
import json
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import pyarrow.parquet as pq
import pytest

import polars_export as pe
from benchmarks.data import RUNS_PER_CASE, case_results
from polars_export.conversation import reference_conversations
from polars_export.execution.part_worker import PartWorker
from polars_export.execution.tasks import Job, ScanPart
from polars_export.formats import record_format
from polars_export.inputs.decoders import Decoders
from polars_export.inputs.eval_results import LINES
from polars_export.inputs.eval_results.decoder import TraceDecoder
from polars_export.inputs.find import find_sources
from polars_export.inputs.partition import partition
from polars_export.inputs.reader import SourceReader
from polars_export.selection.case_key import with_case_key
from polars_export.selection.decide import drop_reasons, select_traces
from polars_export.selection.rules import rules_of
from polars_export.tables.builder import TableBuilder
from polars_export.tables.projection import Projection
from polars_export.writers.blocks import BlockWriter, Encoding
from polars_export.writers.jsonlines import encode
from polars_export.writers.parquet import encode_row_group
from polars_export.writers.parquet_stitcher import ParquetStitcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from polars_export.sources.chunk import Chunk
    from polars_export.tables.tables import Tables

    Benchmark = Callable[..., Any]

CHUNK_TRACES = 100  # about what a chunk holds
ROW_GROUPS = 10
FORMATS = ["chatml", "dpo", "sharegpt"]


@dataclass(frozen=True)
class Steps:
    """What goes into each step, for one chunk."""

    source: Path
    chunk: Chunk
    tables: Tables


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    source = tmp_path_factory.mktemp("data") / "runs.jsonl"
    with source.open("w", encoding="utf-8") as file:
        for case in islice(case_results(), CHUNK_TRACES):
            file.write(json.dumps(case, ensure_ascii=False, separators=(",", ":")) + "\n")
    chunk = next(chunks(source))
    assert len(chunk.spans) == CHUNK_TRACES
    builder = TableBuilder(Projection.RECORDS)
    builder.add(TraceDecoder(Projection.RECORDS).decode(chunk).columns)
    return Steps(source, chunk, builder.build())


def chunks(source: Path) -> Iterator[Chunk]:
    for part in partition(find_sources(source)):
        for segment in part:
            for _, chunk in SourceReader(segment).chunks():
                yield chunk


@pytest.mark.benchmark(group="1 read")
def test_read(benchmark: Benchmark, steps: Steps) -> None:
    def read() -> int:
        return sum(len(chunk.spans) for chunk in chunks(steps.source))

    assert benchmark(read) == CHUNK_TRACES


@pytest.mark.benchmark(group="2 decode to columns")
@pytest.mark.parametrize("detail", Projection, ids=lambda detail: detail.name.lower())
def test_decode(benchmark: Benchmark, steps: Steps, detail: Projection) -> None:
    assert len(benchmark(TraceDecoder(detail).decode, steps.chunk)) == CHUNK_TRACES


@pytest.mark.benchmark(group="3 build tables")
@pytest.mark.parametrize("detail", Projection, ids=lambda detail: detail.name.lower())
def test_build(benchmark: Benchmark, steps: Steps, detail: Projection) -> None:
    decoded = Decoders(detail).of(LINES).decode(steps.chunk)

    def build() -> Tables:
        builder = TableBuilder(detail)
        builder.add(decoded.columns)
        return builder.build()

    assert len(benchmark(build)) == CHUNK_TRACES


@pytest.mark.benchmark(group="3 scan: read, decode the columns that decide, score and locate")
def test_scan(benchmark: Benchmark, steps: Steps, tmp_path: Path) -> None:
    (part,) = partition(find_sources(steps.source))
    worker = PartWorker(Job((), pe.ExportOptions("dpo"), "out.jsonl", into_directory=False, parts=tmp_path))
    assert benchmark(worker.run, ScanPart(0, part), lambda *_: None).traces.height == CHUNK_TRACES


@pytest.mark.benchmark(group="4 select")
def test_score_and_threshold(benchmark: Benchmark, steps: Steps) -> None:
    options = pe.ExportOptions(quality_threshold=0.5)

    def select() -> Tables:
        reasons = drop_reasons(steps.tables.traces, rules_of(options).each)
        return steps.tables.filter(reasons.is_null())

    assert 0 < len(benchmark(select)) < CHUNK_TRACES


@pytest.mark.benchmark(group="4 select")
def test_pairs(benchmark: Benchmark, steps: Steps) -> None:
    traces = with_case_key(steps.tables.traces)
    rules = rules_of(pe.ExportOptions("dpo")).across
    assert benchmark(select_traces, traces, rules).rows.height == 2 * CHUNK_TRACES / RUNS_PER_CASE


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
def test_row_group(benchmark: Benchmark, steps: Steps, name: str) -> None:
    options = pe.ExportOptions(name)
    format_ = record_format(options)
    records = format_.render(steps.tables, options).records
    encoded = benchmark(encode_row_group, records, format_.schema(options), for_hub=False)
    assert pq.read_metadata(io.BytesIO(encoded)).num_rows == records.num_rows


@pytest.mark.benchmark(group="7 write")
@pytest.mark.parametrize("file_type", ["jsonl", "parquet"])
def test_blocks_of_a_repository(
    benchmark: Benchmark, steps: Steps, file_type: Literal["jsonl", "parquet"], tmp_path: Path
) -> None:
    options = pe.ExportOptions("chatml")
    format_ = record_format(options)
    encoding = Encoding(format_.schema(options), format_.ABSENT, file_type, for_hub=True)
    records = format_.render(steps.tables, options).records

    def write() -> int:
        with closing(BlockWriter(tmp_path / "part", encoding, "out")) as writer:
            writer.write("train", records)
        return sum(block.rows for block in writer.blocks)

    assert benchmark(write) == CHUNK_TRACES


@pytest.mark.benchmark(group="8 stitch row groups")
@pytest.mark.parametrize("name", FORMATS)
def test_stitch(benchmark: Benchmark, steps: Steps, name: str) -> None:
    options = pe.ExportOptions(name)
    format_ = record_format(options)
    records = format_.render(steps.tables, options).records
    encoded = encode_row_group(records, format_.schema(options), for_hub=False)

    def stitch() -> bytes:
        file = io.BytesIO()
        stitcher = ParquetStitcher(file)
        for _ in range(ROW_GROUPS):
            stitcher.add(encoded)
        stitcher.close()
        return file.getvalue()

    assert pq.read_metadata(io.BytesIO(benchmark(stitch))).num_row_groups == ROW_GROUPS


@pytest.mark.benchmark(group="9 all")
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@pytest.mark.parametrize("name", FORMATS)
def test_export(benchmark: Benchmark, steps: Steps, name: str, ending: str, tmp_path: Path) -> None:
    report = benchmark(pe.export, steps.source, tmp_path / f"out.{ending}", pe.ExportOptions(name))
    assert report.traces_read == CHUNK_TRACES
