"""Large sources of every kind are read in memory that does not grow with their size."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.faults.test_large_records import MEASURED, needs_proc
from tests.inputs.test_tau2 import results, simulation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Json = dict[str, Any]

MEGABYTE = 1_000_000
SIZES = (400 * MEGABYTE, 1_000 * MEGABYTE)
ROOM = 80 * MEGABYTE
"""More than two runs of one size differ by, and far less than the sizes do."""

SAID = [{"role": "user", "content": "Hello? " * 40}, {"role": "assistant", "content": "Hi. " * 400}]
ROW = {"task_id": 1, "reward": 0.5, "messages": SAID * 5}
EVENT = {"event": "state", "changes": [{"op": "add", "path": "/x", "value": "y" * 300}] * 5, "note": "{[]}" * 20}


def write_array(path: Path, size: int) -> None:
    _write_repeated(path, "[", json.dumps(ROW), "]", size)


def write_results(path: Path, size: int) -> None:
    said = [{**message, "content": message["content"] * 10} for message in SAID]
    text = json.dumps(results(simulation(0, messages=said)))
    one = json.dumps(simulation(0, messages=said))
    before, after = text[: text.index(one)], text[text.index(one) + len(one) :]
    _write_repeated(path, before, one, after, size)


def write_log(path: Path, size: int) -> None:
    """Write a log of Inspect with one sample that is nearly all events."""
    sample = {"id": 1, "epoch": 1, "scores": {"s": {"value": "C"}}, "messages": SAID, "attachments": {}}
    header = {"version": 2, "status": "success", "eval": {"task": "t", "eval_id": "e", "model": "m"}}
    event = (json.dumps(EVENT) + ",").encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("samples/1_epoch_1.json", "w", force_zip64=True) as member:
            member.write(b'{"events": [')
            for _ in range(size // (len(event) * 100)):
                member.write(event * 100)
            member.write(event[:-1] + b"], " + json.dumps(sample).encode()[1:])
        archive.writestr("header.json", json.dumps(header))


def write_table(path: Path, size: int) -> None:
    """Write rows whose texts differ, so that their size in the file is that in memory."""
    number = 0

    def row() -> Json:
        return {**ROW, "messages": [{**message, "content": f"{number} {message['content']}"} for message in SAID * 5]}

    schema = pa.Table.from_pylist([ROW]).schema
    with parquet.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        while path.stat().st_size < size:
            rows = []
            for _ in range(2_000):
                number += 1
                rows.append(row())
            writer.write_table(pa.Table.from_pylist(rows, schema), row_group_size=500)


def _write_repeated(path: Path, before: str, record: str, after: str, size: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(before)
        for _ in range(size // (len(record) + 1)):
            file.write(record + ",")
        file.write(record + after)


KINDS: dict[str, tuple[str, Callable[[Path, int], None]]] = {
    "an array of rows": ("rows.json", write_array),
    "results of tau2-bench": ("results.json", write_results),
    "a sample of Inspect": ("log.eval", write_log),
    "rows of Parquet": ("rows.parquet", write_table),
}


@pytest.mark.long
@needs_proc
@pytest.mark.parametrize("kind", KINDS)
def test_memory_does_not_grow_with_the_source(kind: str, tmp_path: Path) -> None:
    name, write = KINDS[kind]
    source = tmp_path / name
    peaks = []
    for size in SIZES:
        write(source, size)
        command = ["export", str(source), "--format", "kto", "--target", "trl", "--label-threshold", "0.5"]
        output = ["--output", str(tmp_path / "out.parquet"), "--workers", "1", "--quiet"]
        done = subprocess.run([sys.executable, "-c", MEASURED, *command, *output], capture_output=True, check=True)
        peaks.append(int(done.stdout.split()[-1]) * 1024)
        source.unlink()
    assert peaks[1] - peaks[0] < ROOM, peaks
