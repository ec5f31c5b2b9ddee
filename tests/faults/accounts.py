"""What holds after every export: each trace in one count, as many rows as records, every reject named, nothing left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

import polars_export as pe

if TYPE_CHECKING:
    from collections.abc import Iterable

Json = dict[str, Any]

REJECT_KEYS = ["source", "line", "index", "json_path", "expected", "found", "error", "bytes", "raw"]
RAW_BYTES = 10_000
WORK_DIRECTORY = ".polars-export-*"

Sources = Path | str | list[Path | str]


def export(sources: Sources, output: Path, options: pe.ExportOptions) -> pe.ExportReport:
    """Export, and check all that must be true of any export that ends well."""
    report = pe.export(sources, output, options)
    check_account(report, output, options)
    return report


def check_account(report: pe.ExportReport, output: Path, options: pe.ExportOptions) -> None:
    assert report.traces_read == report.exported + sum(report.dropped.values())
    assert all(count > 0 for count in report.dropped.values())
    assert report.exported == report.records * (2 if options.format == "dpo" else 1)
    assert rows_in(output) == report.records
    assert work_directories(output) == []
    if options.on_error == "skip":
        place = rejects_path(output)
        assert report.rejects is not None
        assert Path(report.rejects) == place
        assert len(read_rejects(place)) == report.dropped.get(pe.DropReason.INVALID, 0)
    else:
        assert report.rejects is None
        assert pe.DropReason.INVALID not in report.dropped


def rejects_path(output: Path) -> Path:
    return (output if output.is_dir() else output.parent) / "rejects.jsonl"


def read_rejects(path: Path) -> list[Json]:
    """Read rejects, each of which must say the same in its fields and in its message."""
    rejects: list[Json] = [json.loads(line) for line in path.read_bytes().splitlines()]
    for reject in rejects:
        assert list(reject) == REJECT_KEYS
        assert reject["source"] in reject["error"]
        if reject["line"] is not None:
            assert (reject["index"], reject["error"]) == (None, message_of(reject))
        elif reject["index"] is not None:
            assert reject["error"] == message_of(reject)
    return rejects


def message_of(reject: Json) -> str:
    where = reject["source"] if reject["line"] is None else f"{reject['source']}:{reject['line']}"
    return f"{where}: {reject['json_path']}: expected {reject['expected']}, found {reject['found']}"


def raw_of(record: bytes) -> str:
    """Return the text of a record as rejects show it."""
    return record[:RAW_BYTES].decode("utf-8", "backslashreplace")


def rows_in(output: Path) -> int:
    if output.is_dir():
        return sum(rows_in(path) for path in (output / "data").iterdir())
    if output.suffix == ".parquet":
        return int(pq.ParquetFile(output).metadata.num_rows)
    return plain(output).count(b"\n")


def plain(path: Path) -> bytes:
    """Read a file, decompressed where its name says that it is compressed."""
    with pa.input_stream(path, compression="detect") as stream:
        return bytes(stream.read())


def work_directories(output: Path) -> list[str]:
    return [path.name for path in output.parent.glob(WORK_DIRECTORY)]


def contents(directory: Path) -> dict[str, bytes]:
    """Read all files of a directory; of a manifest without what differs every time."""
    files = {
        str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()
    }
    if "manifest.json" in files:
        manifest = json.loads(files["manifest.json"])
        manifest.pop("timings", None)
        files["manifest.json"] = json.dumps(manifest).encode()
    return files


def lines_of(records: Iterable[Json]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))
