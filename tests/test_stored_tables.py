"""Tables are stored as a repository of two configurations, and read again by everybody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow.parquet as pq
import pytest

import polars_export as pe
from polars_export.cli import main
from polars_export.sources import segments
from polars_export.table_files import blocks
from tests.builders import case_result, turn, write_lines
from tests.plugins.executor import BackwardExecutor

if TYPE_CHECKING:
    from typing import Any

STORE = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("stored") / "tables"
    pe.write_tables(STORE, output)
    return output


def equal(first: pe.Tables, second: pe.Tables) -> bool:
    return first.traces.equals(second.traces) and first.turns.equals(second.turns)


def test_what_is_read_again_is_what_was_read(stored: Path) -> None:
    tables, again = pe.read(STORE), pe.read(stored)
    assert equal(again, tables)
    assert (again.traces.schema, again.turns.schema) == (tables.traces.schema, tables.turns.schema)
    batches = [pl.DataFrame(batch.turns) for batch in pe.iter_batches(stored)]
    assert pl.concat(batches).equals(tables.turns)


def test_the_report_and_the_manifest_account_for_every_trace(tmp_path: Path) -> None:
    report = pe.write_tables(STORE, tmp_path / "tables", pe.InputOptions(tools=STORE / "tools/airline.json"))
    assert (report.traces_read, report.exported, report.records, report.dropped) == (200, 200, 200, {})
    manifest = json.loads((tmp_path / "tables/manifest.json").read_text())
    assert [shard["path"] for shard in manifest["shards"]] == [
        "data/traces-00000-of-00001.parquet", "data/turns-00000-of-00001.parquet",
    ]  # fmt: skip
    assert [shard["rows"] for shard in manifest["shards"]] == [200, 2454]
    assert len(manifest["sources"]) == 4
    assert all(source["checksum"] for source in manifest["sources"])
    assert Path(manifest["tools"]["path"]).name == "airline.json"
    assert "format" not in manifest["options"]
    assert pe.read(tmp_path / "tables").traces["tools"].list.len().min() == len(
        json.loads((STORE / "tools/airline.json").read_text())
    )


def test_load_dataset_reads_both_tables(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path))
    turns = datasets.load_dataset(str(stored), "turns", split="train", cache_dir=str(tmp_path))
    traces = datasets.load_dataset(str(stored), "traces", split="train", cache_dir=str(tmp_path))
    expected = pe.read(stored)
    assert turns["text"][:] == expected.turns["text"].to_list()
    assert traces["score"][:] == expected.traces["score"].to_list()
    assert turns[0]["tool_calls"] == expected.turns["tool_calls"][0].to_list()


def test_scanned_tables_are_lazy_frames_of_the_documented_columns(stored: Path) -> None:
    lazy = pe.scan_tables(stored)
    assert dict(lazy.traces.collect_schema()) == {column.name: column.dtype for column in pe.TRACES}
    assert dict(lazy.turns.collect_schema()) == {column.name: column.dtype for column in pe.TURNS}
    best = lazy.traces.filter(pl.col("score") > 0.9)
    made = pe.tables(best, lazy.turns.join(best, on="trace", how="semi"))
    assert equal(made, pe.read(STORE).filter(pl.col("score") > 0.9))


@pytest.mark.parametrize("output", ["nowhere", "."])
def test_what_holds_no_tables_cannot_be_scanned(output: str, tmp_path: Path) -> None:
    with pytest.raises(pe.SourceError, match="expected a directory with stored tables"):
        pe.scan_tables(tmp_path / output)


def test_tables_in_folders_are_read_too(stored: Path, tmp_path: Path) -> None:
    tables = pe.read(stored)
    for name, frame in (("traces", tables.traces), ("turns", tables.turns)):
        (tmp_path / "tables" / name).mkdir(parents=True)
        for place, start in enumerate(range(0, frame.height, 70)):
            frame[start : start + 70].write_parquet(tmp_path / "tables" / name / f"{place:03d}.parquet")
    assert equal(pe.read(tmp_path / "tables"), tables)
    assert equal(pe.read(str(tmp_path / "tab*")), tables)


def lines(count: int) -> list[dict[str, Any]]:
    return [case_result(f"{number}", *(turn(f"{number} " * 50),) * (1 + number % 3)) for number in range(count)]


def test_parts_shards_and_executors_change_no_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_lines(tmp_path / "runs.jsonl", *lines(60))
    expected = pe.read(source)
    pe.write_tables(source, tmp_path / "whole")
    monkeypatch.setattr(segments, "PART_BYTES", 5_000)
    monkeypatch.setattr(blocks, "_MOST_TRACES", 3)
    pe.write_tables(source, tmp_path / "parts", max_shard_bytes=3_000)
    pe.write_tables(source, tmp_path / "others", max_shard_bytes=3_000, executor=BackwardExecutor)
    files = sorted((tmp_path / "parts/data").iterdir())
    assert len(files) > 6
    assert [file.read_bytes() for file in files] == [
        file.read_bytes() for file in sorted((tmp_path / "others/data").iterdir())
    ]
    for output in ("whole", "parts"):
        assert equal(pe.read(tmp_path / output), expected)
        numbers = pe.scan_tables(tmp_path / output).traces.select("trace").collect()["trace"]
        assert numbers.is_sorted()
        assert numbers.is_unique().all()
    lazy = pe.scan_tables(tmp_path / "parts")
    assert equal(pe.tables(lazy.traces, lazy.turns).numbered(), expected)
    pe.write_tables(tmp_path / "parts", tmp_path / "again")
    assert equal(pe.read(tmp_path / "again"), expected)


def test_an_export_reads_only_the_columns_and_row_groups_that_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_MOST_TRACES", 10)
    traces = lines(40)
    for number, trace in enumerate(traces):
        trace["metric_results"][0]["score"]["value"] = float(number >= 35)
    pe.write_tables(write_lines(tmp_path / "runs.jsonl", *traces), tmp_path / "tables")
    read: list[tuple[int, list[str]]] = []
    read_row_group = pq.ParquetFile.read_row_group

    def noted(self: pq.ParquetFile, number: int, columns: list[str], **more: Any) -> Any:  # noqa: ANN401
        read.append((number, columns))
        return read_row_group(self, number, columns=columns, **more)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", noted)
    report = pe.export(tmp_path / "tables", tmp_path / "out.jsonl", pe.ExportOptions("sharegpt", quality_threshold=1))
    assert report.records == 5
    of_turns = [(number, columns) for number, columns in read if "text" in columns]
    assert [number for number, _ in of_turns] == [3]
    assert "preceding" not in of_turns[0][1]
    assert "tool_results" not in of_turns[0][1]
    assert not any({"input_tokens", "source", "closing"} & {*columns} for _, columns in read)


def test_traces_without_turns_are_stored(tmp_path: Path) -> None:
    silent = case_result("a", final="Hm.")
    silent["invocation"]["turns"] = []
    source = write_lines(tmp_path / "runs.jsonl", silent)
    pe.write_tables(source, tmp_path / "tables")
    assert equal(pe.read(tmp_path / "tables"), pe.read(source))
    assert pe.scan_tables(tmp_path / "tables").turns.collect().height == 0


def test_invalid_records_are_skipped_and_counted(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "runs.jsonl", *lines(2))
    source.write_text(source.read_text() + "{broken\n")
    with pytest.raises(pe.BadRecordError, match=r"runs.jsonl:3"):
        pe.write_tables(source, tmp_path / "tables")
    assert not (tmp_path / "tables").exists()
    report = pe.write_tables(source, tmp_path / "tables", pe.InputOptions(on_error="skip"))
    assert (report.traces_read, report.exported, report.dropped) == (3, 2, {"invalid": 1})
    assert "broken" in (tmp_path / "tables/rejects.jsonl").read_text()


def test_a_file_is_no_place_for_tables(tmp_path: Path) -> None:
    with pytest.raises(pe.OptionError, match="--output: tables are stored in a directory"):
        pe.write_tables(STORE, tmp_path / "tables.parquet")


def test_a_directory_is_replaced_only_if_asked_for(stored: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "runs.jsonl", *lines(2))
    pe.write_tables(source, tmp_path / "tables")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").touch()
    with pytest.raises(pe.OutputError, match="not empty; --overwrite replaces all of it"):
        pe.write_tables(source, tmp_path / "other")
    with pytest.raises(pe.OptionError, match="only sources that are files can be added"):
        pe.write_tables(stored, tmp_path / "tables")
    with pytest.raises(pe.OptionError, match="--overwrite: would remove the source"):
        pe.write_tables(tmp_path / "tables", tmp_path / "tables", overwrite=True)
    pe.write_tables(stored, tmp_path / "tables", overwrite=True)
    assert len(pe.read(tmp_path / "tables")) == 200


def test_frames_are_stored_with_the_documented_columns(stored: Path, tmp_path: Path) -> None:
    tables = pe.read(stored)
    best = tables.with_columns(mine=pl.lit(1)).filter(pl.col("score") > 0.5)
    pe.write_tables(best, tmp_path / "tables")
    assert equal(pe.read(tmp_path / "tables"), tables.filter(pl.col("score") > 0.5).numbered())


def test_the_command_stores_tables_that_it_exports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, options = tmp_path / "tables", ["--format", "dpo", "--target", "trl"]
    assert main(["tables", str(STORE), "--output", str(output)]) == 0
    assert main(["export", str(output), *options, "--output", str(tmp_path / "a.jsonl")]) == 0
    assert main(["export", str(STORE), *options, "--output", str(tmp_path / "b.jsonl")]) == 0
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert main(["tables", str(STORE), "--output", str(output), "--max-record-size", "1MB"]) == 2
    assert main(["tables", str(STORE), "--output", str(tmp_path / "t.jsonl")]) == 2
    assert main(["tables", str(STORE), "--output", str(output), "--seed", "1"]) == 2
    assert capsys.readouterr().err.count("\n") == 3


def test_the_search_of_a_directory_finds_no_traces_in_the_manifest_of_tables(stored: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/tables").symlink_to(stored)
    write_lines(tmp_path / "folder/runs.jsonl", *lines(2))
    assert len(pe.read(tmp_path / "folder")) == 2
