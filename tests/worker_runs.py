"""Runs for tests that start workers, what may be wrong with them, and the processes that are running."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import polars_export as pe
from tests.builders import call, case_result, result, turn

Json = dict[str, Any]

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

SMALL_PARTS = 20_000
"""Bytes of a part, so that a few runs make many of them."""


def running() -> dict[int, int]:
    """Return the processes that have not ended, each with its parent."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text(encoding="utf-8").rpartition(")")[2].split()[:2]
        except OSError:  # it has ended meanwhile
            continue
        if state != "Z":
            found[int(path.parent.name)] = int(parent)
    return found


def children(process: int) -> set[int]:
    return {child for child, parent in running().items() if parent == process}


def runs(count: int, start: int = 0) -> list[Json]:
    """Make runs of cases, some below a threshold of 0.25, of different sizes and with calls in some."""
    return [
        case_result(
            f"case {number % 40}",
            turn(f"{number} " + "word " * (number * 7 % 50), calls=[call()], results=[result()] * (number % 2)),
            *[turn(f"more {number}", index=1)] * (number % 3),
            scores=[(number * 37 % 100) / 100],
            verdict="pass" if number % 4 else "fail",
            eval_set_id="set",
        )
        for number in range(start, start + count)
    ]


def lines_of(records: list[Json]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def bad_content(trace: Json) -> Json:
    """Make a trace invalid in what only its export reads."""
    trace["invocation"]["turns"][0]["turn_index"] = -1
    return trace


def bad_outline(trace: Json) -> Json:
    """Make a trace invalid in what decides whether it is exported."""
    trace["metric_results"][0]["score"]["value"] = "high"
    return trace


def place_of_error(source: object, output: Path, options: pe.ExportOptions) -> tuple[int | None, str]:
    """Export a source with an invalid record; return the line and the JSON path that the error names."""
    with pytest.raises(pe.BadRecordError) as caught:
        pe.export(source, output, options)  # type: ignore[arg-type]
    assert not output.exists()
    assert not list(output.parent.glob(".polars-export-*"))
    return caught.value.line, caught.value.json_path


TURN, SCORE = "$.invocation.turns[0].turn_index", "$.metric_results[0].score.value"
