"""ReplayedFiles appear whole or not at all, in every kind of output."""

from __future__ import annotations

import gzip
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import polars_export as pe
from polars_export.writers.blocks import BLOCK_ROWS
from tests.builders import call, case_result, turn, write_lines
from tests.outputs import open_records

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLE = Path(__file__).parents[1] / "data/results/airline"
RECORDS = pa.table({"n": list(range(5))})
DECODE: dict[str, Callable[[bytes], bytes]] = {
    ".jsonl": bytes,
    ".jsonl.gz": gzip.decompress,
    ".jsonl.zst": lambda data: pa.CompressedInputStream(pa.BufferReader(data), "zstd").read(),
}


@pytest.mark.parametrize("ending", DECODE)
def test_compressed_lines_are_the_plain_ones(ending: str, tmp_path: Path) -> None:
    pe.export(SAMPLE, tmp_path / "plain.jsonl")
    pe.export(SAMPLE, tmp_path / f"out{ending}")
    assert DECODE[ending]((tmp_path / f"out{ending}").read_bytes()) == (tmp_path / "plain.jsonl").read_bytes()


@pytest.mark.parametrize("ending", [*DECODE, ".parquet"])
def test_the_same_export_gives_the_same_bytes(ending: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        pe.export(SAMPLE, tmp_path / f"{name}{ending}", pe.ExportOptions("dpo"))
    assert (tmp_path / f"one{ending}").read_bytes() == (tmp_path / f"two{ending}").read_bytes()


@pytest.mark.parametrize("format_name", ["chatml", "dpo", "sharegpt"])
def test_parquet_has_plain_strings_and_lists(format_name: str, tmp_path: Path) -> None:
    pe.export(SAMPLE, tmp_path / "out.parquet", pe.ExportOptions(format_name))
    schema = str(pq.read_schema(tmp_path / "out.parquet"))
    assert "large" not in schema
    assert "view" not in schema


def test_a_first_trace_without_calls_does_not_decide_on_the_type_of_calls(tmp_path: Path) -> None:
    pe.export(write_lines(tmp_path / "a.jsonl", case_result()), tmp_path / "without.parquet")
    pe.export(write_lines(tmp_path / "b.jsonl", case_result("b", turn("x", calls=[call()]))), tmp_path / "with.parquet")
    assert pq.read_schema(tmp_path / "without.parquet") == pq.read_schema(tmp_path / "with.parquet")


@pytest.mark.parametrize("sizes", [[1] * 2_500, [2_500], [999, 2, 1_499], [1_000, 1_000, 500]])
def test_row_groups_do_not_depend_on_how_records_arrive(sizes: list[int], tmp_path: Path) -> None:
    rows = pa.table({"n": range(2_500)})
    start = 0
    with open_records(tmp_path / "out.parquet", rows.schema) as writer:
        for size in sizes:
            writer.write("train", rows.slice(start, size))
            start += size
    parquet = pq.ParquetFile(tmp_path / "out.parquet")
    groups = [parquet.metadata.row_group(index).num_rows for index in range(parquet.num_row_groups)]
    assert groups == [BLOCK_ROWS, BLOCK_ROWS, 500]
    assert parquet.read().equals(rows)


def test_row_groups_end_with_their_part_and_stand_in_its_order(tmp_path: Path) -> None:
    rows = pa.table({"n": range(2_500)})
    with open_records(tmp_path / "out.parquet", rows.schema) as writer:
        for start, length in ((0, 1_200), (1_200, 0), (1_200, 1), (1_201, 1_299)):
            writer.write("train", rows.slice(start, length))
            writer.next_part()
    parquet = pq.ParquetFile(tmp_path / "out.parquet")
    groups = [parquet.metadata.row_group(index).num_rows for index in range(parquet.num_row_groups)]
    assert groups == [1_000, 200, 1, 1_000, 299]
    assert parquet.read().equals(rows)


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.jsonl.zst", "out.parquet"])
def test_a_file_that_fails_half_way_leaves_the_old_one(name: str, tmp_path: Path) -> None:
    output = tmp_path / name
    output.write_bytes(b"old")

    def write_and_stop() -> None:
        with open_records(output, RECORDS.schema) as writer:
            writer.write("train", RECORDS)
            writer.next_part()
            writer.write("train", RECORDS)
            assert output.read_bytes() == b"old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    assert output.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [output]


def test_a_bad_record_at_the_end_leaves_the_old_file(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "runs.jsonl", *[case_result()] * 10, {"case_id": "bad"})
    output = tmp_path / "out.jsonl"
    output.write_bytes(b"old")
    with pytest.raises(pe.BadRecordError):
        pe.export(source, output)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "runs.jsonl"]
    assert output.read_bytes() == b"old"


def test_an_output_may_have_the_longest_name_there_is(tmp_path: Path) -> None:
    output = tmp_path / ("x" * 249 + ".jsonl")
    pe.export(SAMPLE, output)
    assert output.exists()
    with pytest.raises(pe.OutputError, match="File name too long"):
        pe.export(SAMPLE, tmp_path / ("x" * 250 + ".jsonl"))


def test_what_a_linked_output_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real.jsonl").touch()
    (tmp_path / "link.jsonl").symlink_to("real.jsonl")
    pe.export(SAMPLE, tmp_path / "link.jsonl")
    assert (tmp_path / "link.jsonl").is_symlink()
    assert (tmp_path / "real.jsonl").stat().st_size > 0


def test_an_output_that_is_one_of_the_sources_is_refused(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "runs.jsonl", case_result())
    before = source.read_bytes()
    (tmp_path / "link.jsonl").symlink_to(source)
    for output in (source, tmp_path / "link.jsonl"):
        with pytest.raises(pe.OptionError, match="is one of the sources"):
            pe.export(tmp_path, output)
    assert source.read_bytes() == before


def test_the_caller_s_own_errors_pass_through(tmp_path: Path) -> None:
    def on_progress(_read: int, _total: int | None, _traces: int) -> None:
        raise OSError("mine")

    with pytest.raises(OSError, match="mine"):
        pe.export(SAMPLE, tmp_path / "out.jsonl", on_progress=on_progress)
    assert list(tmp_path.iterdir()) == []


def test_the_output_has_the_permissions_of_anything_new(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        pe.export(SAMPLE, tmp_path / "out.jsonl")
        pe.export(SAMPLE, tmp_path / "out")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.jsonl").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "out/README.md").stat().st_mode) == 0o640
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("out", "out/data")} == {0o750}


def test_nobody_else_sees_what_is_under_way(tmp_path: Path) -> None:
    seen: set[int] = set()

    def on_progress(_read: int, _total: int | None, _traces: int) -> None:
        seen.update(stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir())

    pe.export(SAMPLE, tmp_path / "out.jsonl", on_progress=on_progress)
    assert seen == {0o700}


MISTYPED = [".json", ".jsonl.bz2", ".JSON", ".parquet.gz", ".jsnol", ".parqet", ".jsonl.xz", ".txt", ".arrow"]


@pytest.mark.parametrize(
    ("output", "error", "message"),
    [
        *((f"out{ending}", pe.OptionError, r"expected a name that ends in \.jsonl, .*; found ") for ending in MISTYPED),
        ("out.csv", pe.OptionError, r"expected a name that ends in \.jsonl, .*; found "),
        ("no/out.jsonl", pe.OutputError, "the directory .* does not exist"),
        ("folder.jsonl", pe.OutputError, "is a directory"),
    ],
)
def test_an_output_that_cannot_work_is_refused_before_reading(
    output: str, error: type[pe.ExportError], message: str, tmp_path: Path
) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    source = write_lines(tmp_path / "bad.jsonl", {"case_id": "bad"})
    with pytest.raises(error, match=message):
        pe.export(source, tmp_path / output)


@pytest.mark.parametrize("name", ["ds-v1.0", "run.2026-11", "model.v2", "a.b.final", "out.json/"])
def test_a_directory_may_have_any_name_but_a_mistyped_one(name: str, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "runs.jsonl", case_result())
    pe.export(source, f"{tmp_path}/{name}")
    assert (tmp_path / name / "manifest.json").exists()


def test_an_output_inside_a_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    write_lines(tmp_path / "runs" / "a.jsonl", case_result())
    (tmp_path / "link").symlink_to("runs")
    for output in ("runs/out.jsonl", "runs/out", "link/out.jsonl", "runs"):
        with pytest.raises(pe.OptionError, match=r"lies inside the source|would remove the source"):
            pe.export(tmp_path / "runs", tmp_path / output, pe.ExportOptions(overwrite=True))
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize("output", ["-", "rejects.jsonl", "out.jsonl"])
def test_bad_records_are_not_set_aside_where_there_is_no_place(output: str, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "rejects.jsonl", case_result())
    name = output if output == "-" else str(tmp_path / output)
    with pytest.raises(pe.OptionError, match=r"^--on-error: skip|^--output: .* is one of the sources"):
        pe.export(source, name, pe.ExportOptions(on_error="skip"))


def test_a_new_file_is_as_private_as_the_one_that_it_replaces(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "runs.jsonl", case_result())
    for output in (tmp_path / "out.jsonl", tmp_path / "out"):
        pe.export(source, output, pe.ExportOptions(overwrite=True))
        output.chmod(0o750)
        pe.export(source, output, pe.ExportOptions(overwrite=True))
        assert stat.S_IMODE(output.stat().st_mode) == 0o750
