"""An export that is killed is taken up at any part, and ends with the bytes of one that was not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.builders import scored_trace, turn, write_lines

if TYPE_CHECKING:
    from pathlib import Path

PARTS = 6
EXPORT = """
import os, signal, sys
from polars_export.pipeline import journal
from polars_export.sources import segments
from polars_export.writers.journal import JournalFile
import polars_export as pe

segments.PART_BYTES = {part_bytes}
after = int(sys.argv[4])
added = 0
add = JournalFile.add

def watched(self, entry):
    global added
    if added == after:
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, entry)
    added += 1

JournalFile.add = watched
options = pe.ExportOptions({format!r}, on_error="skip", overwrite=True, resume=sys.argv[3] == "resume",
                           max_shard_bytes=20_000, include_metadata={metadata})
report = pe.export(sys.argv[1], sys.argv[2], options)
print(report.taken_up)
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return some parts' worth of lines, a bad one among them."""
    traces = [
        scored_trace(f"case {row % 30}", turn(f"answer {row} " + "x" * 300), score=row / 100) for row in range(90)
    ]
    path = write_lines(tmp_path / "runs.jsonl", *traces)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:40], b"{\n", *lines[40:]]))
    return path


def run(source: Path, output: Path, *, resume: bool = False, after: int = -1, **more: object) -> tuple[int, str]:
    settings = {"format": "chatml", "metadata": True, "part_bytes": source.stat().st_size // PARTS + 1} | more
    arguments = [str(source), str(output), "resume" if resume else "anew", str(after)]
    command = [sys.executable, "-c", EXPORT.format_map(settings), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=source.parent)
    return done.returncode, done.stdout.strip() or done.stderr


def state(output: Path) -> dict[str, bytes]:
    """Return the files of an output, the rejects among them, without the timings of a manifest."""
    if output.is_file():
        return {"": output.read_bytes(), "rejects.jsonl": output.with_name("rejects.jsonl").read_bytes()}
    files = {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*") if path.is_file()}
    manifest = json.loads(files["manifest.json"])
    del manifest["timings"]
    return files | {"manifest.json": json.dumps(manifest).encode()}


@pytest.mark.parametrize(
    ("name", "format_", "after"),
    [("out.jsonl", "chatml", 1), ("out.parquet", "chatml", 4), ("out", "chatml", 3), ("out", "dpo", 0)],
)
def test_it_goes_on_behind_the_last_part_that_was_written(
    name: str, format_: str, after: int, source: Path, tmp_path: Path
) -> None:
    # The kill comes when the output has been given a part of which the journal does not know yet.
    output = tmp_path / name
    assert run(source, output, format=format_)[0] == 0
    expected = state(output)
    assert run(source, output, format=format_, after=after)[0] == -signal.SIGKILL
    assert state(output) == expected
    assert run(source, output, format=format_, resume=True, after=min(after, 1))[0] == -signal.SIGKILL
    status, taken_up = run(source, output, format=format_, resume=True)
    assert (status, state(output)) == (0, expected)
    assert (int(taken_up) > 0) == (after > 0)
    assert not list(tmp_path.glob(".polars-export-*"))


def test_a_part_whose_source_has_changed_is_done_again(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    assert run(source, output, after=3)[0] == -signal.SIGKILL
    source.write_bytes(source.read_bytes().replace(b"answer 2 ", b"another! "))
    assert run(source, output, resume=True) == (0, "0")
    assert b"another!" in output.read_bytes()


def test_nothing_is_taken_up_for_other_options(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    assert run(source, output, after=3)[0] == -signal.SIGKILL
    assert run(source, output, resume=True, metadata=False) == (0, "0")
    assert b"metadata" not in output.read_bytes()


def test_without_asking_nothing_is_taken_up(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    assert run(source, output, after=3)[0] == -signal.SIGKILL
    assert run(source, output) == (0, "0")


def test_what_the_killed_export_wrote_is_not_trusted_if_it_is_gone(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    assert run(source, output, after=3)[0] == -signal.SIGKILL
    (work,) = tmp_path.glob(".polars-export-*")
    (work / "new" / "out.jsonl").write_bytes(b"")
    status, message = run(source, output, resume=True)
    assert status == 1
    assert "what the killed export left is damaged: export again without --resume" in message
    assert not output.exists()
