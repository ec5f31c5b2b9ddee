"""A folder of three sources, of which the middle one is bad: what tests make of it."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars_export as pe
from polars_export.cli import main
from tests import rowwise
from tests.builders import case_result, document, turn
from tests.faults.accounts import export, lines_of, read_rejects, rejects_path

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

Json = dict[str, Any]

BEFORE = [case_result("before", turn("one"), scores=[0.5]), case_result("before", turn("two"), scores=[1.0])]
BEHIND = [case_result("behind", turn("three"), scores=[0.5]), case_result("behind", turn("four"), scores=[1.0])]
SKIP = pe.ExportOptions("chatml", on_error="skip")


def runs(count: int) -> list[Json]:
    """Make runs that say different things, so that they do not compress to next to nothing."""
    return [
        case_result(f"case {number % 20}", turn(f"{zlib.crc32(b'%d' % number)} " * 20), scores=[number % 7 / 7])
        for number in range(count)
    ]


RUNS = runs(400)
LINES = lines_of(RUNS)
DOCUMENT = json.dumps(document(*RUNS), indent=1).encode()


@dataclass(frozen=True)
class Three:
    """A folder of three files, of which the middle one is bad."""

    folder: Path
    output: Path

    @property
    def bad(self) -> Path:
        return self.folder / "b.jsonl"

    @property
    def sources(self) -> list[Path | str]:
        return [self.folder]


def stops(three: Three, capfd: pytest.CaptureFixture[str], *more: str) -> str:
    """Run an export of the folder that must stop; return the line in which it complains of the file in the middle."""
    three.output.write_bytes(b"old")
    command = ["export", str(three.folder), "--format", "chatml", "--output", str(three.output), *more]
    assert main(command) == 4
    captured = capfd.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith(f"polars-export: {three.bad}")
    assert [path.name for path in three.output.parent.iterdir()] == [three.output.name]
    assert three.output.read_bytes() == b"old"
    return captured.err


def skips(three: Three, format_name: str = "chatml", **options: Any) -> tuple[int, list[Json]]:  # noqa: ANN401 - options
    """Export the folder all the same; return how many records of the bad file came through, and its rejects.

    Those that do are its first ones, as they stand.
    """
    asked = pe.ExportOptions(format_name, on_error="skip", **options)
    report = export(three.sources, three.output, asked)
    rejects = read_rejects(rejects_path(three.output))
    assert all(reject["source"] == str(three.bad) for reject in rejects)
    exported = report.traces_read - report.dropped.get(pe.DropReason.INVALID, 0) - 4
    good = [*BEFORE, *RUNS[:exported], *BEHIND]
    assert three.output.read_bytes() == rowwise.export(good, format_name, 0.0)
    return exported, rejects


def is_of_a_source(reject: Json) -> bool:
    return (reject["line"], reject["index"]) == (None, None)
