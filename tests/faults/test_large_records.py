"""Records larger than allowed, and bombs: bad records like others, in memory that does not grow with them."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.cli import main
from polars_export.sources import window
from tests import rowwise
from tests.builders import case_result, document, turn
from tests.faults.accounts import RAW_BYTES, export, lines_of, read_rejects, rejects_path, zstd

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]

MEGABYTE = 1_000_000
ROOM = 40 * MEGABYTE
"""More memory than a record of a megabyte needs, and less than a bomb."""

needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")

LARGE = case_result("case", turn("x" * 20_000), scores=[2.0])
GOOD = [case_result("case", turn(str(number)), scores=[number / 5]) for number in range(5)]

# The most memory that a command has had at one time, as the kernel counts it.
MEASURED = """
import re, sys
from pathlib import Path
from polars_export.cli import main
status = main(sys.argv[1:])
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
sys.exit(status)
"""


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out/records.jsonl"


@pytest.mark.parametrize("place", [0, 2, 5])
@pytest.mark.parametrize(
    ("compress", "format_name", "chunk_bytes"),
    [(bytes, "chatml", 3_000), (bytes, "dpo", 1 << 21), (gzip.compress, "dpo", 3_000), (zstd, "chatml", 1 << 21)],
)
def test_a_line_over_the_limit_costs_no_other(  # noqa: PLR0913, PLR0917 - all that may make a difference
    compress: Callable[[bytes], bytes],
    format_name: str,
    chunk_bytes: int,
    place: int,
    tmp_path: Path,
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", chunk_bytes)
    lines = [*GOOD[:place], LARGE, *GOOD[place:]]
    source = tmp_path / "lines.jsonl"
    source.write_bytes(compress(lines_of(lines)))
    line = lines_of([LARGE]).rstrip(b"\n")
    options = pe.ExportOptions(format_name, on_error="skip", max_record_bytes=len(line) - 1)
    report = export(source, output, options)
    assert output.read_bytes() == rowwise.export(GOOD, format_name, 0.0)
    assert report.dropped[pe.DropReason.INVALID] == 1
    (reject,) = read_rejects(rejects_path(output))
    assert (reject["source"], reject["line"], reject["bytes"]) == (str(source), place + 1, len(line))
    assert reject["raw"] == line[:RAW_BYTES].decode()
    export(source, output, pe.ExportOptions(format_name, max_record_bytes=len(line)))
    assert output.read_bytes() == rowwise.export(lines, format_name, 0.0)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_line_over_the_limit_stops_an_export_and_is_named(
    compress: Callable[[bytes], bytes], tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "lines.jsonl"
    source.write_bytes(compress(lines_of([*GOOD, LARGE, *GOOD])))
    command = ["export", str(source), "--format", "chatml", "--output", str(output), "--max-record-size", "10KB"]
    assert main(command) == 4
    message = capfd.readouterr().err
    assert message.startswith(f"polars-export: {source}:6: $: expected ")
    assert message.count("\n") == 1
    assert list(output.parent.iterdir()) == []


@pytest.mark.parametrize("format_name", ["chatml", "dpo"])
def test_a_case_result_over_the_limit_costs_no_other(format_name: str, tmp_path: Path, output: Path) -> None:
    source = tmp_path / "document.json"
    source.write_text(json.dumps(document(*GOOD[:3], LARGE, *GOOD[3:]), indent=1), encoding="utf-8")
    report = export(source, output, pe.ExportOptions(format_name, on_error="skip", max_record_bytes=10_000))
    assert report.dropped[pe.DropReason.INVALID] == 1
    (reject,) = read_rejects(rejects_path(output))
    assert (reject["index"], reject["json_path"]) == (3, "$.case_results[3]")
    assert reject["raw"].startswith("{\n")
    assert output.read_bytes() == rowwise.export(GOOD, format_name, 0.0, eval_set_id="set")


def memory_of(*arguments: object) -> int:
    """Run a command and return its most memory in bytes."""
    command = [sys.executable, "-c", MEASURED, "export", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if "skip" in arguments else 4), done.stderr
    return int(done.stdout) * 1_000


def bomb(path: Path, compress: Callable[[bytes], bytes] | None, size: int) -> Path:
    """Write a line of some size between good ones: compressed, or a hole in a file, which takes no space either."""
    start, end = lines_of(GOOD[:2]) + b'{"case_id": "', b"\n" + lines_of(GOOD[2:])
    with path.open("wb") as file:
        if compress:
            file.write(compress(start) + compress(bytes(MEGABYTE)) * (size // MEGABYTE) + compress(end))
        else:
            file.write(start)
            file.seek(size, os.SEEK_CUR)
            file.write(end)
    return path


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Return the memory that an export of next to nothing takes."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "small.jsonl").write_bytes(lines_of(GOOD))
    return memory_of(folder / "small.jsonl", "--format", "chatml", "--output", folder / "o.jsonl", "--on-error", "skip")


BOMBS = pytest.mark.parametrize("compress", [gzip.compress, zstd, None], ids=["gzip", "zstd", "plain"])


def set_off(compress: Callable[[bytes], bytes] | None, size: int, output: Path, on_error: str) -> int:
    """Export a line of some size, which is too large, between good ones; return the memory that this takes."""
    large = bomb(output.with_name("bomb.jsonl"), compress, size)
    options = ["--format", "chatml", "--output", output, "--max-record-size", "1MB", "--on-error", on_error]
    memory = memory_of(large, *options)
    if on_error == "fail":
        assert not output.exists()
        return memory
    assert output.read_bytes() == rowwise.export(GOOD, "chatml", 0.0)
    (reject,) = read_rejects(rejects_path(output))
    assert (reject["line"], reject["bytes"]) == (3, size + len('{"case_id": "'))
    return memory


@needs_proc
def test_a_bomb_does_not_fill_the_memory(usual: int, output: Path) -> None:
    assert set_off(gzip.compress, 80 * MEGABYTE, output, "skip") < usual + ROOM


@needs_proc
@pytest.mark.long
@pytest.mark.parametrize("on_error", ["fail", "skip"])
@BOMBS
def test_a_large_bomb_does_not_fill_the_memory(
    compress: Callable[[bytes], bytes] | None, on_error: str, usual: int, output: Path
) -> None:
    assert set_off(compress, 800 * MEGABYTE, output, on_error) < usual + ROOM


@pytest.mark.long
def test_by_default_a_line_may_have_256_megabytes(tmp_path: Path, output: Path) -> None:
    large = bomb(tmp_path / "bomb.jsonl", None, 257 * MEGABYTE)
    with pytest.raises(pe.BadRecordError, match=r"bomb\.jsonl:3: \$: expected .*256"):
        pe.export(large, output, pe.ExportOptions("chatml"))
