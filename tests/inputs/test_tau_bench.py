"""tau-bench's results are an array of message rows; what it holds comes out message by message."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyarrow import parquet

import polars_export as pe
from tests.inputs.real_files import real_file

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

Json = dict[str, Any]


def expected(messages: list[Json]) -> list[Json]:
    """Return the messages that a trainer gets: those of the source but for what nothing follows."""
    last = max(place for place, message in enumerate(messages) if message["role"] == "assistant")
    return [_message(message) for message in messages[: last + 1]]


def _message(message: Json) -> Json:
    made = {"role": message["role"], "content": message["content"] or ""}
    if message.get("tool_calls"):
        functions = [(call["id"], call["function"]) for call in message["tool_calls"]]
        made["tool_calls"] = [
            {
                "id": call_id,
                "type": "function",
                "function": {"name": function["name"], "arguments": json.loads(function["arguments"])},
            }
            for call_id, function in functions
        ]
    return made | {key: message[key] for key in ("tool_call_id", "name") if key in message}


@pytest.fixture
def rows() -> list[Json]:
    found: list[Json] = json.loads(real_file("tau_bench/gpt-4o-airline.part.json").read_text(encoding="utf-8"))
    return found


def records(source: Path, **options: Any) -> list[Json]:  # noqa: ANN401 - options
    output = source.with_suffix(".out.jsonl")
    pe.export(source, output, pe.ExportOptions("chatml", target="trl", **options))
    return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("kind", ["array", "lines", "document", "parquet", "text"])
def test_every_message_comes_out_in_order(kind: str, rows: list[Json], tmp_path: Path) -> None:
    source, mapping = write(kind, rows, tmp_path)
    made = records(source, map=mapping)
    assert [record["messages"] for record in made] == [expected(row["traj"]) for row in rows]
    metadata = [record["metadata"] for record in made]
    assert [each["case_id"] for each in metadata] == [str(row["task_id"]) for row in rows]
    assert [each["run"] for each in metadata] == [str(row["trial"]) for row in rows]
    assert [each["score"] for each in metadata] == [row["reward"] for row in rows]


def write(kind: str, rows: list[Json], folder: Path) -> tuple[Path, list[str]]:
    """Write rows in a way, and return the mapping that they need."""
    if kind == "parquet":
        columns = [{key: row[key] for key in ("task_id", "trial", "reward")} | {"traj": same_keys(row)} for row in rows]
        parquet.write_table(pa.Table.from_pylist(columns), folder / "rows.parquet", row_group_size=10)
        return folder / "rows.parquet", []
    source = folder / "rows.json"
    if kind == "lines":
        text = "".join(json.dumps(row) + "\n" for row in rows)
    elif kind == "text":
        text = json.dumps([{**row, "traj": json.dumps(row["traj"])} for row in rows])
    else:
        text = json.dumps(rows if kind == "array" else {"note": [1], "results": rows}, indent=1)
    source.write_text(text, encoding="utf-8")
    return source, {"document": ["each=results[*]"], "text": ["messages=traj"]}.get(kind, [])


def same_keys(row: Json) -> list[Json]:
    keys = ("role", "content", "tool_calls", "tool_call_id", "name")
    return [{key: message.get(key) for key in keys} for message in row["traj"]]


@pytest.mark.parametrize("name", ["chatml", "kto"])
def test_tables_and_frames_give_the_same_bytes(name: str, rows: list[Json], tmp_path: Path) -> None:
    source, _ = write("array", rows, tmp_path)
    options = pe.ExportOptions(name, target="trl", label_threshold=0.5 if name == "kto" else None)
    pe.write_tables(source, tmp_path / "tables")
    made = []
    given_sources: list[Any] = [source, tmp_path / "tables", pe.read(source), pe.read(tmp_path / "tables")]
    for number, given in enumerate(given_sources):
        output = tmp_path / f"{number}.jsonl"
        pe.export(given, output, options)
        made.append(output.read_bytes())
    assert made[1:] == made[:1] * 3


def test_nothing_is_lost_in_the_tables(rows: list[Json]) -> None:
    tables = pe.read(real_file("tau_bench/gpt-4o-airline.part.json"))
    messages = [message for row in rows for message in row["traj"]]
    turns, traces = tables.turns, tables.traces

    def total(values: pl.Series) -> int:
        return int(values.sum())

    assert turns.height == sum(message["role"] == "assistant" for message in messages)
    assert total(turns["tool_results"].list.len()) == sum(message["role"] == "tool" for message in messages)
    others = sum(message["role"] in {"system", "user"} for message in messages)
    assert total(traces["system_messages"]) + total(traces["user_messages"]) == others
    assert total(turns["preceding"].list.len()) + total(traces["closing"].list.len()) == others
    dropped = ("orphan_results", "moved_results", "image_blocks", "extension_blocks", "unknown_blocks")
    assert turns.select(dropped).sum().row(0) == (0,) * len(dropped)
