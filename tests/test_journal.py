"""A killed export is resumed behind any part, and ends with the bytes of one that was not killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.sources import segments
from tests.builders import scored_trace, turn, write_lines

if TYPE_CHECKING:
    from pathlib import Path

PARTS = 6
EXPORT = """
import os, signal, sys
from polars_export.execution import journal
from polars_export.sources import segments
from polars_export.writers.append_log import AppendLog
import polars_export as pe

segments.PART_BYTES = {part_bytes}
after = int(sys.argv[4])
added = 0
add = AppendLog.add

def add_or_kill(self, entry):
    global added
    if added == after:
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, entry)
    added += 1

AppendLog.add = add_or_kill
options = pe.ExportOptions({format!r}, on_error="skip", overwrite=True, resume=sys.argv[3] == "resume",
                           max_shard_bytes=None if "." in sys.argv[2] else 20_000, include_metadata={metadata})
pe.export(sys.argv[1], sys.argv[2], options)
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


def settings(source: Path, **more: object) -> dict[str, Any]:
    return {"format": "chatml", "metadata": True, "part_bytes": source.stat().st_size // PARTS + 1} | more


def kill(source: Path, output: Path, after: int, *, resume: bool = False, **more: object) -> None:
    """Kill an export when its journal has so many entries."""
    arguments = [str(source), str(output), "resume" if resume else "anew", str(after)]
    command = [sys.executable, "-c", EXPORT.format_map(settings(source, **more)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=source.parent)
    assert done.returncode == -signal.SIGKILL, done.stderr


def export(source: Path, output: Path, *, resume: bool = False, **more: object) -> int:
    """Export undisturbed; return how many traces were resumed."""
    asked = settings(source, **more)
    options = pe.ExportOptions(
        asked["format"],
        on_error="skip",
        overwrite=True,
        resume=resume,
        max_shard_bytes=None if output.suffix else 20_000,
        include_metadata=asked["metadata"],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "PART_BYTES", asked["part_bytes"])
        return pe.export(source, output, options).resumed


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
    [
        pytest.param("out.jsonl", "chatml", 1, marks=pytest.mark.long),
        ("out.parquet", "chatml", 4),
        pytest.param("out", "chatml", 3, marks=pytest.mark.long),
        ("out", "dpo", 0),
    ],
)
def test_it_goes_on_behind_the_last_part_in_the_journal(
    name: str, format_: str, after: int, source: Path, tmp_path: Path
) -> None:
    # The kill comes when a part is written that the journal does not have yet.
    output = tmp_path / name
    export(source, output, format=format_)
    expected = state(output)
    kill(source, output, after, format=format_)
    assert state(output) == expected
    kill(source, output, min(after, 1), format=format_, resume=True)
    resumed = export(source, output, format=format_, resume=True)
    assert state(output) == expected
    assert (resumed > 0) == (after > 0)
    assert not list(tmp_path.glob(".polars-export-*"))


def test_a_part_whose_source_has_changed_is_done_again(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    kill(source, output, 3)
    source.write_bytes(source.read_bytes().replace(b"answer 2 ", b"another! "))
    assert export(source, output, resume=True) == 0
    assert b"another!" in output.read_bytes()


def test_other_options_resume_nothing(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    kill(source, output, 3)
    assert export(source, output, resume=True, metadata=False) == 0
    assert b"metadata" not in output.read_bytes()


def test_without_the_option_nothing_is_resumed(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    kill(source, output, 3)
    assert export(source, output) == 0


def test_what_the_killed_export_wrote_is_not_trusted_if_it_is_gone(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    kill(source, output, 3)
    (work,) = tmp_path.glob(".polars-export-*")
    (work / "new" / "out.jsonl").write_bytes(b"")
    with pytest.raises(pe.OutputError, match="what the killed export left is damaged: export again without --resume"):
        export(source, output, resume=True)
    assert not output.exists()
