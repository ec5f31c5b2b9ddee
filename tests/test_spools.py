"""Pairs of sources that cannot be read again from the middle: a copy of them is kept."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import polars_export as pe
from polars_export.sources import segments, window
from tests import rowwise
from tests.builders import document
from tests.worker_runs import SCORE, SMALL_PARTS, TURN, bad_content, bad_outline, lines_of, place_of_error, runs


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", SMALL_PARTS)


TRACES = runs(90)
PLAIN = lines_of(TRACES)
SPOOLED = {
    "runs.jsonl.gz": gzip.compress(PLAIN),
    "two.jsonl.gz": gzip.compress(PLAIN[:5_000]) + gzip.compress(PLAIN[5_000:]),
    "marked.jsonl.gz": gzip.compress(b"\xef\xbb\xbf" + PLAIN),
    "runs.jsonl.zst": pa.Codec("zstd").compress(PLAIN, asbytes=True),
    "run.json.gz": gzip.compress(json.dumps(document(*TRACES), indent=1).encode()),
    "late.json.gz": gzip.compress(json.dumps({"case_results": TRACES, "eval_set_id": "late"}).encode()),
}


def piped(data: bytes, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))
    return "-"


@pytest.mark.parametrize("chunk_bytes", [3_000, pytest.param(1 << 21, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", [*SPOOLED, "plain", "marked"])
def test_pairs_of_what_is_compressed_or_piped_are_those_of_the_plain_file(
    name: str, chunk_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", chunk_bytes)
    expected = rowwise.export(TRACES, "dpo", 0.25)
    data = {"plain": PLAIN, "marked": b"\xef\xbb\xbf" + PLAIN, **SPOOLED}[name]
    (tmp_path / name).write_bytes(data)
    asked = pe.ExportOptions("dpo", quality_threshold=0.25, workers=1)
    pe.export(tmp_path / name, tmp_path / "out.jsonl", asked)
    assert (tmp_path / "out.jsonl").read_bytes() == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({name, "out.jsonl"})
    if name == "late.json.gz":
        return  # that would have to be read twice
    pe.export(piped(data, monkeypatch), tmp_path / "standard-input.jsonl", asked)
    assert (tmp_path / "standard-input.jsonl").read_bytes() == expected
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor() as threads:
        threads.submit((tmp_path / "pipe").write_bytes, data)
        pe.export(tmp_path / "pipe", tmp_path / "pipe.jsonl", asked)
    assert (tmp_path / "pipe.jsonl").read_bytes() == expected
    assert not list(tmp_path.glob(".polars-export-*"))


@pytest.mark.parametrize("chunk_bytes", [3_000, 1 << 21])
@pytest.mark.parametrize("is_piped", [False, True])
def test_a_bad_record_of_what_is_compressed_or_piped_is_named(
    *, is_piped: bool, chunk_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", chunk_bytes)
    best = runs(90)
    bad_content(best[40])["metric_results"][0]["score"]["value"] = 2.0
    worse = json.loads(json.dumps(best))
    bad_outline(worse[70])
    (tmp_path / "out").mkdir()
    for traces, place in ((best, 40), (worse, 40), ([*worse[:40], *worse[41:]], 69)):
        path = TURN if place == 40 else SCORE
        data = gzip.compress(lines_of(traces))
        (tmp_path / "runs.jsonl.gz").write_bytes(data)
        source = piped(data, monkeypatch) if is_piped else tmp_path / "runs.jsonl.gz"
        assert place_of_error(source, tmp_path / "out/out.jsonl", pe.ExportOptions("dpo")) == (place + 1, path)
        data = json.dumps(document(*traces), indent=1).encode()
        (tmp_path / "run.json.gz").write_bytes(gzip.compress(data))
        source = piped(data, monkeypatch) if is_piped else tmp_path / "run.json.gz"
        where = path.replace("$", f"$.case_results[{place}]")
        assert place_of_error(source, tmp_path / "out/out.jsonl", pe.ExportOptions("dpo")) == (None, where)


def test_a_spool_that_cannot_be_written_is_an_error_of_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.FileIO):
        def write(self, _data: object) -> int:
            raise OSError(28, "No space left on device")

    opened = Path.open

    def open_full(path: Path, *arguments: Any, **more: Any) -> Any:  # noqa: ANN401 - as `Path.open`
        return Full(path, "w") if path.name.startswith("source-") else opened(path, *arguments, **more)

    monkeypatch.setattr(Path, "open", open_full)
    (tmp_path / "runs.jsonl.gz").write_bytes(SPOOLED["runs.jsonl.gz"])
    with pytest.raises(pe.OutputError, match="No space left on device"):
        pe.export(tmp_path / "runs.jsonl.gz", tmp_path / "out.jsonl", pe.ExportOptions("dpo"))
    assert [path.name for path in tmp_path.iterdir()] == ["runs.jsonl.gz"]
