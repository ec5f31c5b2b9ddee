"""No room at any point of the way: one clear line, the old output as it was, nothing left behind."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.faults.accounts import rows_in
from tests.faults.processes import PATIENCE, found_in, options, runs, small_parts_code, undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = ["out.jsonl", "out.parquet", "out.jsonl.zst", "out"]

_LIMITED = f"""{small_parts_code()}
import resource
from polars_export.cli import main
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.exit(main(sys.argv[1:]))
"""


def run(
    source: Path, output: Path, workers: int, *around: str, limit: int = resource.RLIM_INFINITY
) -> subprocess.CompletedProcess[str]:
    """Run an export in which no file may be larger than a limit, as an argument of another command if one is given."""
    command = [*around, sys.executable, "-c", _LIMITED, str(limit), "export", str(source), "--format", "chatml"]
    command += ["--quality-threshold", "0.25", "--on-error", "skip", "--overwrite", "--workers", str(workers)]
    command += ["--output", str(output)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)


@pytest.fixture(autouse=True)
def _not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # the limit would be one for coverage's file, too


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("full") / "runs.jsonl"
    path.write_bytes(runs(300))
    return path


@pytest.fixture(scope="module")
def largest(source: Path) -> Callable[[str], int]:
    """Return the size of the largest file of an output."""

    @cache
    def of(name: str) -> int:
        output = source.with_name(name)
        large = {} if output.suffix else {"max_shard_bytes": "500MB"}
        made = undisturbed(source, output, options(output, "skip", **large))
        return max(map(len, made.values()))

    return of


def put_old(output: Path) -> dict[str, bytes]:
    if output.suffix:
        output.parent.mkdir()
        output.write_bytes(b"old")
    else:
        (output / "data").mkdir(parents=True)
        (output / "data/old.jsonl").write_bytes(b"old")
    return found_in(output)


def fails_at(tenth: int, name: str, workers: int, source: Path, output: Path, largest: Callable[[str], int]) -> None:  # noqa: PLR0913, PLR0917
    old = put_old(output)
    done = run(source, output, workers, limit=largest(name) * tenth // 10)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (5, "", 1), done.stderr
    assert done.stderr.startswith("polars-export: ")
    assert done.stderr.endswith("File too large\n")
    assert found_in(output) == old
    assert [path.name for path in output.parent.iterdir()] == [output.name]


@pytest.mark.parametrize(("tenth", "name", "workers"), [(9, "out.jsonl", 1), (4, "out", 2)])
def test_no_room_for_the_output(  # noqa: PLR0913, PLR0917 - all that may make a difference
    tenth: int, name: str, workers: int, source: Path, tmp_path: Path, largest: Callable[[str], int]
) -> None:
    fails_at(tenth, name, workers, source, tmp_path / "out" / name, largest)


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tenth", range(10))
def test_no_room_for_the_output_at_any_tenth(  # noqa: PLR0913, PLR0917 - all that may make a difference
    tenth: int, name: str, workers: int, source: Path, tmp_path: Path, largest: Callable[[str], int]
) -> None:
    fails_at(tenth, name, workers, source, tmp_path / "out" / name, largest)


def in_a_small_file_system(folder: Path, kilobytes: int) -> list[str]:
    """Return the beginning of a command that runs with a small file system in place of a folder, gone at its end."""
    mount = f"mount -t tmpfs -o size={kilobytes}k,mode=755 none {folder}"
    return [
        "unshare",
        "--mount",
        "/bin/sh",
        "-c",
        f'{mount} && "$@"; status=$?; ls -A {folder} >&2; exit $status',
        "sh",
    ]


def can_mount(folder: Path) -> bool:
    if os.geteuid() or not shutil.which("unshare"):
        return False
    return (
        subprocess.run([*in_a_small_file_system(folder, 64), "true"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.parametrize(
    ("name", "workers"),
    [
        ("out.jsonl", 1),
        *(pytest.param(name, 2, marks=pytest.mark.long) for name in ("out.jsonl", "out", "out.parquet")),
    ],
)
def test_a_full_file_system(
    name: str, workers: int, source: Path, tmp_path: Path, largest: Callable[[str], int]
) -> None:
    if not can_mount(tmp_path):
        pytest.skip("needs the right to mount a file system")
    kilobytes = largest(name) // 2 // 1_024
    done = run(source, tmp_path / name, workers, *in_a_small_file_system(tmp_path, kilobytes))
    assert done.returncode == 5
    assert done.stderr.startswith("polars-export: ")
    assert done.stderr.endswith("No space left on device\n")  # and `ls` finds nothing
    assert done.stderr.count("\n") == 1


@pytest.mark.long
def test_with_just_enough_room_it_is_whole(source: Path, tmp_path: Path, largest: Callable[[str], int]) -> None:
    output, size = tmp_path / "out.jsonl", largest("out.jsonl")
    assert run(source, output, 2, limit=size).returncode == 0
    assert output.stat().st_size == size
    assert rows_in(output) == rows_in(source.with_name("out.jsonl"))
