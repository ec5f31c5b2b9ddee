"""Rows of Parquet and Arrow IPC files, and of folders that datasets saved."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import datasets
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

import polars_export as pe
from polars_export.sources import segments, table_rows
from tests.builders import write_lines

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]


def conversation(number: int, *, calls: bool = True) -> list[Json]:
    function = {"name": "look", "arguments": json.dumps({"at": number})}
    call = {"id": "1", "type": "function", "function": function}
    return [
        {"role": "user", "content": f"Hello {number // 2}?", "tool_calls": None, "tool_call_id": None},
        {"role": "assistant", "content": None, "tool_calls": [call] if calls else None, "tool_call_id": None},
        {"role": "tool", "content": "seen", "tool_calls": None, "tool_call_id": "1"},
        {"role": "assistant", "content": f"Hi {number}.", "tool_calls": None, "tool_call_id": None},
    ]


def rows(count: int) -> list[Json]:
    return [
        {"task_id": number // 2, "reward": number % 3 / 2, "blob": b"\xff" if number % 2 else None,
         "messages": conversation(number), "note": "x" * 50}
        for number in range(count)
    ]  # fmt: skip


def as_parquet(path: Path, table: pa.Table) -> Path:
    parquet.write_table(table, path, row_group_size=7)
    return path


def as_ipc_file(path: Path, table: pa.Table) -> Path:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=5)
    return path


def as_ipc_stream(path: Path, table: pa.Table) -> Path:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=5)
    return path


WRITERS = {"rows.parquet": as_parquet, "file.arrow": as_ipc_file, "stream.arrow": as_ipc_stream}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("target_format", ["chatml", "dpo"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_table_gives_the_records_of_the_same_lines(
    name: str, target_format: str, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polars_export.execution.conductor._LEAST_FOR_PROCESSES", 0)
    monkeypatch.setattr(segments, "PART_BYTES", 1_000)
    table = WRITERS[name](tmp_path / name, pa.Table.from_pylist(rows(60)))
    lines = write_lines(tmp_path / "rows.jsonl", *({**row, "blob": None} for row in rows(60)))
    made = []
    for source in (table, lines):
        output = source.with_suffix(".out.jsonl")
        report = pe.export(source, output, pe.ExportOptions(target_format, target="trl", workers=workers))
        made.append((output.read_bytes(), report.traces_read, report.dropped))
    assert made[0] == made[1]
    assert made[0][1] == 60


@pytest.mark.parametrize("name", WRITERS)
def test_positions_are_rows(name: str, tmp_path: Path) -> None:
    tables = pe.read(WRITERS[name](tmp_path / name, pa.Table.from_pylist(rows(12))))
    assert tables.traces["position"].to_list() == list(range(12))
    assert tables.traces["case_id"].to_list() == [str(number // 2) for number in range(12)]


def test_a_folder_that_datasets_saved_is_read(tmp_path: Path) -> None:
    kept = [{key: value for key, value in row.items() if key != "blob"} for row in rows(20)]
    datasets.Dataset.from_list(kept).save_to_disk(str(tmp_path / "saved"), num_shards=2)
    report = pe.export(tmp_path / "saved", tmp_path / "out.jsonl", pe.ExportOptions("chatml", target="trl"))
    assert (report.traces_read, report.exported) == (20, 20)


def test_messages_may_be_text_and_fields_mapped(tmp_path: Path) -> None:
    texts = [{"conv": json.dumps(conversation(number)), "ok": number, "id": f"c{number}"} for number in range(4)]
    source = as_parquet(tmp_path / "rows.parquet", pa.Table.from_pylist(texts))
    with pytest.raises(pe.SourceError, match="expected a column with lists of messages, found conv, ok, id"):
        pe.read(source)
    traces = pe.read(source, pe.InputOptions(map=["messages=conv", "case=id", "verdict=ok"])).traces
    assert traces["verdict"].to_list() == ["fail", "pass", None, None]
    with pytest.raises(pe.SourceError, match=r"score=okay finds nothing; .*; did you mean ok"):
        pe.read(source, pe.InputOptions(map=["messages=conv", "score=okay"]))


def test_only_the_columns_that_are_needed_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = as_parquet(tmp_path / "rows.parquet", pa.Table.from_pylist(rows(20)))
    asked = []
    original = table_rows._Table.batches  # noqa: SLF001 - what is asked of the file

    def batches(self: Any, columns: Any, *arguments: Any) -> Any:  # noqa: ANN401 - passed on
        asked.append(columns)
        return original(self, columns, *arguments)

    monkeypatch.setattr(table_rows._Table, "batches", batches)  # noqa: SLF001 - as above
    assert len(pe.read(source)) == 20
    assert all("blob" not in columns and "note" not in columns for columns in asked[1:])
    assert asked[1:]


@pytest.mark.parametrize("cut", [4, 300, -40, -4])
@pytest.mark.parametrize("name", WRITERS)
def test_a_damaged_table_is_an_error_of_one_line(name: str, cut: int, tmp_path: Path) -> None:
    source = WRITERS[name](tmp_path / name, pa.Table.from_pylist(rows(30)))
    source.write_bytes(source.read_bytes()[:cut])
    if name == "stream.arrow" and cut == -4:
        return  # the mark of the end, which a stream may lack
    with pytest.raises(pe.InputError) as error:
        pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions("chatml", target="trl"))
    assert str(source) in str(error.value)
    assert not (tmp_path / "out.jsonl").exists()


def test_a_table_is_not_read_from_a_pipe_or_compressed(tmp_path: Path) -> None:
    import gzip  # noqa: PLC0415 - here only

    source = as_parquet(tmp_path / "rows.parquet", pa.Table.from_pylist(rows(5)))
    packed = tmp_path / "rows.parquet.gz"
    packed.write_bytes(gzip.compress(source.read_bytes()))
    with pytest.raises(pe.SourceError, match="is read from a file of its own, neither piped nor compressed"):
        pe.read(packed)


def test_a_bad_row_is_named_by_its_number_and_set_aside(tmp_path: Path) -> None:
    bad = rows(20)
    bad[13]["messages"][0]["role"] = "robot"
    source = as_parquet(tmp_path / "rows.parquet", pa.Table.from_pylist(bad))
    with pytest.raises(pe.BadRecordError, match=r"rows\.parquet: \$\[13\]\.messages\[0\]\.role: expected one of"):
        pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions("chatml", target="trl"))
    options = pe.ExportOptions("chatml", target="trl", on_error="skip")
    report = pe.export(source, tmp_path / "out.jsonl", options)
    assert (report.traces_read, report.exported, report.dropped) == (20, 19, {"invalid": 1})


def test_an_empty_table_is_no_error_by_itself(tmp_path: Path) -> None:
    source = as_parquet(tmp_path / "rows.parquet", pa.Table.from_pylist(rows(3)).slice(0, 0))
    with pytest.raises(pe.SourceError, match="expected a column with lists of messages"):
        pe.read(source)


CHOOSE = st.lists(st.integers(0, 59), max_size=30, unique=True)


@given(chosen=CHOOSE, name=st.sampled_from(sorted(WRITERS)))
def test_chosen_rows_are_found_again_in_any_order(
    chosen: list[int], name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = WRITERS[name](tmp_path_factory.mktemp("rows") / name, pa.Table.from_pylist(rows(60)))
    data, spans = table_rows.TableRows(("task_id", "reward")).read_again(
        str(source), str(source), [(row, 0) for row in chosen]
    )
    found = [json.loads(data[start:end]) for start, end in spans]
    assert found == [{"task_id": row // 2, "reward": row % 3 / 2} for row in chosen]


def test_what_json_cannot_hold_is_a_number_or_null(tmp_path: Path) -> None:
    row = {
        "price": Decimal("1.50"),
        "pictures": [{"data": b"x", "name": "a"}],
        "bytes": b"y",
        "messages": conversation(0),
    }
    source = as_parquet(tmp_path / "rows.parquet", pa.Table.from_pylist([row]))
    (extra,) = pe.read(source, pe.InputOptions(map="extra=*")).traces["extra"]
    assert json.loads(extra) == {"price": 1.5, "pictures": [{"data": None, "name": "a"}], "bytes": None}


def test_a_row_over_the_limit_is_set_aside(tmp_path: Path) -> None:
    large = rows(6)
    large[3]["messages"][0]["content"] = "x" * 5_000
    source = as_parquet(tmp_path / "rows.parquet", pa.Table.from_pylist(large))
    options = pe.ExportOptions("chatml", target="trl", on_error="skip", max_record_bytes=3_000)
    report = pe.export(source, tmp_path / "out.jsonl", options)
    assert (report.traces_read, report.dropped) == (6, {"invalid": 1})
