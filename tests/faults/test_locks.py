"""One export at a time into an output; and nobody else may look into what is not published yet."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import termios
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import polars_export as pe
from polars_export.cli import main
from tests.builders import case_result, write_lines
from tests.faults.accounts import WORK_DIRECTORY, export, lines_of, rows_in
from tests.faults.processes import PATIENCE, start, wait_until_stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
OPTIONS = pe.ExportOptions("chatml", overwrite=True)


@contextmanager
def at_work(output: Path) -> Iterator[Callable[[], pe.ExportReport]]:
    """Start an export that waits for the rest of its input; yield what gives it the end and returns its report."""
    pipe = output.parent.with_name("pipe")
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as threads:
        file = os.fdopen(os.open(pipe, os.O_RDWR), "wb", buffering=0)  # O_RDWR: it does not wait for the other side
        done = threads.submit(pe.export, pipe, output, OPTIONS)

        def finish() -> pe.ExportReport:
            file.close()
            return done.result(PATIENCE)

        try:
            file.write(lines_of([case_result("first")]))
            while fcntl.ioctl(file, termios.FIONREAD, bytes(4)) != bytes(4):  # bytes that it has not read yet
                assert not done.done()
                time.sleep(0.001)
            yield finish
        finally:
            finish()
    pipe.unlink()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "runs.jsonl", case_result("second"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize(("name", "resume"), [("out.jsonl", False), ("out.parquet", True), ("out", False)])
def test_a_second_export_into_an_output_is_refused_while_one_is_under_way(
    *, name: str, resume: bool, source: Path, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = folder / name
    with at_work(output) as finish:
        command = ["export", str(source), "--format", "chatml", "--overwrite", "--output", str(output)]
        assert main(command + ["--resume"] * resume) == 5
        message = capfd.readouterr().err
        assert "another export" in message
        assert message.startswith(f"polars-export: {output}: ")
        assert message.count("\n") == 1
        assert finish().exported == 1
    assert [path.name for path in folder.iterdir()] == [name]
    export(source, output, OPTIONS)


def test_another_name_of_an_output_is_no_way_around(source: Path, folder: Path) -> None:
    output = folder / "out.jsonl"
    output.write_bytes(b"old")
    (folder.parent / "link").symlink_to(folder)
    (folder.parent / "file.jsonl").symlink_to(output)
    with at_work(output):
        for name in (folder.parent / "link/out.jsonl", folder.parent / "file.jsonl", folder / "../out/out.jsonl"):
            with pytest.raises(pe.OutputError, match="another export"):
                pe.export(source, name, OPTIONS)
        assert output.read_bytes() == b"old"
    assert b"first" in output.read_bytes()


def test_exports_into_other_outputs_of_a_folder_are_not_held_up(source: Path, folder: Path) -> None:
    with at_work(folder / "out.jsonl"):
        for name in ("other.jsonl", "out", "out.parquet"):
            assert pe.export(source, folder / name, OPTIONS).exported == 1
    assert sorted(path.name for path in folder.iterdir()) == ["other.jsonl", "out", "out.jsonl", "out.parquet"]


@needs_proc
@pytest.mark.parametrize("name", ["out.jsonl.gz", pytest.param("out", marks=pytest.mark.long)])
def test_what_a_killed_export_has_left_is_in_nobody_s_way(name: str, source: Path, folder: Path) -> None:
    with start("export", source, "--format", "chatml", "--output", folder / name, change=1, like="fsync|rename") as it:
        assert it.wait(PATIENCE) == -signal.SIGKILL
    assert len(list(folder.glob(WORK_DIRECTORY))) == 1
    report = export(source, folder / name, OPTIONS)
    assert (report.exported, report.resumed) == (1, 0)
    assert [path.name for path in folder.iterdir()] == [name]


def meets_another(change: int, like: str, name: str, source: Path, folder: Path) -> None:
    """Stop an export before one of its changes to files, have another one into its output, and let it go on."""
    command = ["export", source, "--format", "chatml", "--overwrite", "--output", folder / name]
    with start(*command, change=change, like=like, number=signal.SIGSTOP) as process:
        assert process.stderr
        wait_until_stopped(process)
        try:
            pe.export(source, folder / name, OPTIONS)
        except pe.OutputError as error:
            assert "another export" in str(error)  # noqa: PT017 - it may as well succeed
        finally:
            process.send_signal(signal.SIGCONT)
        status, message = process.wait(PATIENCE), process.stderr.read()
    assert (status, message.count(b"\n")) == (0, 1), message  # the one line tells the number of changes
    assert [path.name for path in folder.iterdir()] == [name]
    assert rows_in(folder / name) == 1


@needs_proc
def test_an_export_that_cleans_up_and_the_next_one_do_not_meet(source: Path, folder: Path) -> None:
    meets_another(1, "rmdir", "out.jsonl", source, folder)


@needs_proc
@pytest.mark.long
@pytest.mark.parametrize("name", ["out.jsonl", "out"])
def test_an_export_at_any_step_and_the_next_one_do_not_meet(name: str, source: Path, folder: Path) -> None:
    export(source, folder / name, OPTIONS)
    with start(
        "export", source, *["--format", "chatml", "--overwrite"], "--output", folder / name, change=0
    ) as process:
        assert process.stderr
        assert process.wait(PATIENCE) == 0
        changes = int(process.stderr.read())
    for change in range(2, changes + 1):
        meets_another(change, "", name, source, folder)


@contextmanager
def masked(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("name", "mask"), [("out.jsonl", 0o077), ("out.parquet", 0o027), ("out", 0o022), ("out", 0o077)]
)
def test_a_new_output_obeys_the_mask(name: str, mask: int, source: Path, folder: Path) -> None:
    with masked(mask):
        export(source, folder / name, pe.ExportOptions("chatml", on_error="skip"))
    for path in folder.rglob("*"):
        assert mode(path) == (0o777 if path.is_dir() else 0o666) & ~mask, path


@pytest.mark.parametrize("kept", [0o600, 0o640, 0o664])
def test_a_file_that_is_replaced_keeps_its_mode(kept: int, source: Path, folder: Path) -> None:
    output = folder / "out.jsonl"
    output.touch()
    output.chmod(kept)
    with masked(0o022):
        export(source, output, OPTIONS)
    assert mode(output) == kept


@pytest.mark.parametrize("replaced", ["rejects.jsonl", "out.jsonl"])
def test_rejects_are_as_private_as_what_they_replace_or_what_is_replaced_beside(
    replaced: str, source: Path, folder: Path
) -> None:
    (folder / replaced).touch()
    (folder / replaced).chmod(0o600)
    with masked(0o022):
        export(source, folder / "out.jsonl", pe.ExportOptions("chatml", on_error="skip"))
    assert mode(folder / "rejects.jsonl") == 0o600


def test_a_folder_that_passes_on_its_group_is_like_any_other(source: Path, folder: Path) -> None:
    output = folder / "out.jsonl"
    folder.chmod(0o2775)
    with at_work(output), pytest.raises(pe.OutputError, match="another export"):
        pe.export(source, output, OPTIONS)
    export(source, output, OPTIONS)
    assert [path.name for path in folder.iterdir()] == [output.name]


@pytest.mark.parametrize("name", ["out.jsonl", "out"])
def test_while_it_grows_nobody_else_may_look(name: str, folder: Path) -> None:
    with masked(0), at_work(folder / name):
        (work,) = folder.iterdir()
        assert mode(work) == 0o700


@pytest.mark.parametrize("what", ["a file", "a link", "open to others"])
def test_what_others_have_put_in_the_way_is_not_used(what: str, source: Path, folder: Path) -> None:
    with at_work(folder / "out.jsonl"):
        (work,) = folder.iterdir()
    assert not work.exists()
    (folder / "out.jsonl").unlink()
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (elsewhere / "mine").touch()
    if what == "a file":
        work.touch()
    elif what == "a link":
        work.symlink_to(elsewhere)
    else:
        work.mkdir(mode=0o777)
        work.chmod(0o777)
    with pytest.raises(pe.OutputError, match="in the way"):
        pe.export(source, folder / "out.jsonl", OPTIONS)
    assert [path.name for path in folder.iterdir()] == [work.name]
    assert [path.name for path in elsewhere.iterdir()] == ["mine"]
