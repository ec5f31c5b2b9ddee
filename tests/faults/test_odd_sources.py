"""Sources that cannot be opened, lie where the output goes, or come slowly: named, and harmless to the others."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import socket
import subprocess
import sys
import tempfile
import termios
import time
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.cli import main
from tests import rowwise
from tests.builders import case_result, document, scored_trace, turn, write_document, write_lines
from tests.faults.accounts import export, lines_of, read_rejects, rejects_path, work_directories, zstd
from tests.faults.processes import PATIENCE
from tests.faults.three_sources import (
    BEFORE,
    BEHIND,
    LINES,
    RUNS,
    SKIP,
    Three,
    is_of_a_source,
    skips,
    stops,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Json = dict[str, Any]


def no_file(place: Path) -> None:
    place.symlink_to(place.with_name("nowhere"))


def a_link_to_itself(place: Path) -> None:
    place.symlink_to(place)


def a_socket(place: Path) -> None:
    folder = os.open(place.parent, os.O_RDONLY)
    try:  # the path of a socket must be short
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(f"/proc/self/fd/{folder}/{place.name}")
    finally:
        os.close(folder)


@pytest.mark.parametrize("make", [no_file, a_link_to_itself, a_socket])
def test_what_cannot_be_opened_costs_no_other(
    make: Callable[[Path], None], three: Three, capfd: pytest.CaptureFixture[str]
) -> None:
    make(three.bad)
    stops(three, capfd)
    exported, rejects = skips(three)
    assert (exported, [is_of_a_source(reject) for reject in rejects]) == (0, [True])


@contextmanager
def somebody_else(folder: Path) -> Iterator[None]:
    """Become a user whose permissions count, where this one is the superuser."""
    if os.geteuid():
        yield
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 65_534, 65_534)
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("bad", ["in/b.jsonl", "in/folder"])
def test_a_file_that_may_not_be_read_costs_no_other_and_a_folder_stops_all(
    bad: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:  # the folders of tests are closed to others
        folder = Path(name)
        three = Three(folder / "in", folder / "out/records.jsonl")
        three.folder.mkdir()
        three.output.parent.mkdir()
        write_lines(three.folder / "a.jsonl", *BEFORE)
        write_lines(three.folder / "c.jsonl", *BEHIND)
        if bad == "in/folder":
            (folder / bad).mkdir()
        else:
            write_lines(folder / bad, *RUNS)
        with somebody_else(folder):
            (folder / bad).chmod(0)
            command = ["export", str(three.folder), "--format", "chatml", "--output", str(three.output)]
            assert main(command) == 4
            assert f"{folder / bad}: Permission denied" in capfd.readouterr().err
            if bad == "in/folder":  # nobody can tell how much is in it
                with pytest.raises(pe.SourceError, match="Permission denied"):
                    pe.export(three.sources, three.output, SKIP)
                (folder / bad).chmod(0o700)
                return
            report = export(three.sources, three.output, SKIP)
            (folder / bad).chmod(0o700)
            assert three.output.read_bytes() == rowwise.export([*BEFORE, *BEHIND], "chatml", 0.0)
            assert report.dropped == {"invalid": 1}
            (reject,) = read_rejects(rejects_path(three.output))
            assert is_of_a_source(reject)
            assert reject["source"] == str(folder / bad)


def test_links_that_lead_in_a_circle_are_followed_once(three: Three) -> None:
    (three.folder / "deep").mkdir()
    write_lines(three.folder / "deep/d.jsonl", *RUNS[:3])
    (three.folder / "deep/up").symlink_to(three.folder)
    (three.folder / "deep/self").symlink_to(three.folder / "deep")
    report = export(three.sources, three.output, SKIP)
    assert (report.exported, report.dropped) == (7, {})


def test_sources_of_all_kinds_in_one_call(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "out").mkdir()
    write_document(folder / "a.json", *RUNS[:10], eval_set_id="a")
    write_lines(folder / "b.jsonl", *RUNS[10:20])
    (folder / "c.json.gz").write_bytes(gzip.compress(json.dumps(document(*RUNS[20:30], eval_set_id="a")).encode()))
    (folder / "d.jsonl.zst").write_bytes(zstd(lines_of(RUNS[30:40])))
    write_lines(folder / "e.ndjson", *[scored_trace(f"case {number}", score=0.5) for number in range(5)])
    (folder / "f.json").write_text('{"schema_version": 1, "cases": []}', encoding="utf-8")
    (folder / "g.jsonl").write_bytes(b'{"case_id": 3, "invocation": {}}\n')
    (folder / "h.json").write_bytes(gzip.compress(LINES)[:-9])
    (folder / "i.jsonl").write_bytes(b"")
    named = [folder / name for name in ("a.json", "b.jsonl", "c.json.gz", "d.jsonl.zst", "e.ndjson", "g.jsonl")]
    report = export([*named, folder / "i.jsonl"], tmp_path / "out/records.jsonl", SKIP)
    assert (report.exported, report.dropped) == (45, {"invalid": 2})
    report = export([folder], tmp_path / "out/records.jsonl", SKIP)
    assert report.dropped == {"invalid": 2}
    rejects = read_rejects(tmp_path / "out/rejects.jsonl")
    assert [Path(reject["source"]).name for reject in rejects] == ["g.jsonl", "h.json"]
    assert [Path(path).name for path in report.skipped_files] == ["f.json", "i.jsonl"]


def test_prompts_in_yaml_make_no_objects(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = write_lines(tmp_path / "lines.jsonl", *BEFORE)
    mark = tmp_path / "mark"
    prompts = tmp_path / "sets.yaml"
    for tag in ("!!python/object/apply:os.system", "!!python/object/new:os.system", "!!python/name:os.system"):
        prompts.write_text(
            f"id: set\nname: s\ncases:\n- id: before\n  system_prompt: {tag} ['touch {mark}']\n  user_messages: [x]\n",
            encoding="utf-8",
        )
        command = ["export", str(source), "--format", "chatml", "--target", "trl", "--prompts", str(prompts)]
        for on_error in ("fail", "skip"):
            assert main([*command, "--output", str(tmp_path / "out.jsonl"), "--on-error", on_error]) == 4
            error = capfd.readouterr().err
            assert error.startswith(f"polars-export: {prompts}")
            assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lines.jsonl", "sets.yaml"]


@pytest.mark.parametrize("name", ["in/a.jsonl", "in/out.jsonl", "in/set", "in", "link/out.jsonl"])
def test_an_output_among_its_sources_is_refused_before_anything_is_read(
    name: str, three: Three, capfd: pytest.CaptureFixture[str]
) -> None:
    three.bad.write_bytes(b"not read")
    (three.folder.parent / "link").symlink_to(three.folder)
    before = sorted(three.folder.rglob("*"))
    output = three.folder.parent / name
    command = ["export", str(three.folder), "--format", "chatml", "--output", str(output), "--overwrite"]
    assert main(command) == 2
    assert capfd.readouterr().err.count("\n") == 1
    assert sorted(three.folder.rglob("*")) == before
    assert work_directories(output) == []
    if name.endswith(".jsonl"):
        single = three.folder / "a.jsonl"
        assert main(["export", str(single), "--format", "chatml", "--output", str(single)]) == 2


@pytest.mark.parametrize("source", ["out/rejects.jsonl", "out/../out/rejects.jsonl", "link.jsonl"])
def test_rejects_that_would_replace_a_source_are_refused(
    source: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    write_lines(tmp_path / "out/rejects.jsonl", *BEFORE)
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "out/rejects.jsonl")
    before = (tmp_path / "out/rejects.jsonl").read_bytes()
    command = ["export", str(tmp_path / source), "--format", "chatml", "--output", str(tmp_path / "out/records.jsonl")]
    assert main([*command, "--on-error", "skip"]) == 2
    assert capfd.readouterr().err.count("\n") == 1
    assert (tmp_path / "out/rejects.jsonl").read_bytes() == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["rejects.jsonl"]


def test_an_output_by_the_name_of_its_rejects_is_refused(three: Three, capfd: pytest.CaptureFixture[str]) -> None:
    output = three.output.with_name("rejects.jsonl")
    command = ["export", str(three.folder), "--format", "chatml", "--output", str(output)]
    assert main([*command, "--on-error", "skip"]) == 2
    assert capfd.readouterr().err.count("\n") == 1
    assert list(output.parent.iterdir()) == []
    assert main(command) == 0


def test_a_named_pipe_in_a_directory_does_not_hold_an_export_up(three: Three) -> None:
    os.mkfifo(three.bad)
    command = [sys.executable, "-m", "polars_export", "export", str(three.folder), "--format", "chatml"]
    command += ["--output", str(three.output), "--on-error", "skip"]
    subprocess.run(command, check=True, timeout=PATIENCE, capture_output=True)
    assert three.output.read_bytes() == rowwise.export([*BEFORE, *BEHIND], "chatml", 0.0)


@pytest.mark.parametrize(
    "share", [pytest.param(0.2, marks=pytest.mark.long), 0.5, pytest.param(0.9, marks=pytest.mark.long)]
)
@pytest.mark.parametrize("kind", ["lines", "a document"])
@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_what_can_be_unpacked_of_damaged_data_is_exported(codec: str, kind: str, share: float, tmp_path: Path) -> None:
    """But for what is unpacked at one time, which is little."""
    random = Random(1)  # noqa: S311 - text that does not shrink much
    runs = [case_result(str(n), turn(random.randbytes(500).hex())) for n in range(2_000)]
    plain = lines_of(runs) if kind == "lines" else json.dumps(document(*runs)).encode()
    packed = gzip.compress(plain, 1) if codec == "gzip" else zstd(plain)
    source = tmp_path / "source"
    source.write_bytes(packed[: int(len(packed) * share)])
    (tmp_path / "out").mkdir()
    report = export(source, tmp_path / "out/out.jsonl", pe.ExportOptions("chatml", on_error="skip"))
    lost = 200_000 / len(plain)  # a block of zstd holds 128 KB
    assert (share - 0.02 - lost) * len(runs) < report.exported < (share + 0.02) * len(runs)
    assert report.dropped == {"invalid": 1}


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstd])
@pytest.mark.parametrize("blocking", [True, False])
def test_what_is_piped_may_come_slowly(compress: Callable[[bytes], bytes], *, blocking: bool, tmp_path: Path) -> None:
    data = compress(lines_of(BEFORE * 100))
    readable, writable = os.pipe()
    os.set_blocking(readable, blocking)
    command = [sys.executable, "-m", "polars_export", "export", "-", "--format", "chatml", "--output", "-"]
    with subprocess.Popen(command, stdin=readable, stdout=subprocess.PIPE, cwd=tmp_path) as process:
        os.close(readable)
        with open(writable, "wb", buffering=0) as pipe:  # noqa: PTH123 - a descriptor
            for piece in (data[:1], data[1:3], data[3 : len(data) // 2], data[len(data) // 2 :]):
                pipe.write(piece)
                while fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)) != bytes(4):  # bytes that it has not read yet
                    time.sleep(0.005)
                time.sleep(0.05)  # by now it waits for more
        assert process.stdout
        assert process.stdout.read().count(b"\n") == 100 * len(BEFORE)
    assert process.returncode == 0
