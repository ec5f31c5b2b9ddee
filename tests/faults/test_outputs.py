"""Outputs in odd places: nothing of the user's is lost, and nobody sees more than before."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.cli import main
from polars_export.execution import conductor, process_executor
from polars_export.execution.export_inputs import find_inputs
from polars_export.execution.journal import job_key
from polars_export.sources import fingerprint, segments
from polars_export.writers import output as open_module
from tests.builders import case_result, turn, write_lines
from tests.faults.accounts import contents, export
from tests.faults.test_odd_sources import somebody_else

if TYPE_CHECKING:
    from collections.abc import Iterator

SKIP = pe.ExportOptions("chatml", on_error="skip", overwrite=True)
TRL = pe.ExportOptions("chatml", target="trl", missing_prompt="keep")
as_superuser = pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to give files away")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = write_lines(tmp_path / "runs.jsonl", *[case_result(str(number), turn("x")) for number in range(5)])
    with path.open("ab") as file:
        file.write(b"{bad\n")
    return path


def test_rejects_stand_beside_the_file_that_a_link_leads_to(source: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").mkdir()
    (tmp_path / "link/out.jsonl").symlink_to(tmp_path / "real/out.jsonl")
    report = pe.export(source, tmp_path / "link/out.jsonl", SKIP)
    assert report.rejects == str(tmp_path / "real/rejects.jsonl")
    assert [path.name for path in (tmp_path / "link").iterdir()] == ["out.jsonl"]
    other = write_lines(tmp_path / "real/rejects.jsonl", case_result())
    before = other.read_bytes()
    with pytest.raises(pe.OptionError, match=r"skip would write bad records to .*real/rejects\.jsonl, which is in use"):
        pe.export([source, other], tmp_path / "link/out.jsonl", SKIP)
    (tmp_path / "link/data.jsonl").symlink_to(tmp_path / "real/rejects.jsonl")
    with pytest.raises(pe.OptionError, match="which is in use"):
        pe.export(source, tmp_path / "link/data.jsonl", SKIP)
    assert other.read_bytes() == before


def test_an_output_needs_a_name(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(pe.OptionError, match="expected a name; found ''"):
        pe.export(source, "", SKIP)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["a\0b.jsonl", "a\ud800.jsonl"])
def test_what_cannot_be_a_name_is_none(name: str, source: Path, tmp_path: Path) -> None:
    with pytest.raises(pe.OptionError, match="expected a name; found"):
        pe.export(source, str(tmp_path / name), SKIP)
    for option in ("prompts", "tools"):
        with pytest.raises(pe.SourceError):
            pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions("chatml", target="trl", **{option: name}))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["out.jsonl", "out"])
def test_a_link_that_leads_back_to_itself_is_no_output(name: str, source: Path, tmp_path: Path) -> None:
    (tmp_path / name).symlink_to("other")
    (tmp_path / "other").symlink_to(name)
    with pytest.raises(pe.OutputError, match="leads back to itself"):
        pe.export(source, tmp_path / name, SKIP)


def test_rejects_that_have_no_place_are_an_error_at_once(source: Path, tmp_path: Path) -> None:
    (tmp_path / "rejects.jsonl").mkdir()
    with pytest.raises(pe.OutputError, match=r"rejects\.jsonl: is a directory"):
        pe.export(source, tmp_path / "out.jsonl", SKIP)


def test_what_is_read_beside_the_results_is_not_overwritten(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out/sets").mkdir(parents=True)
    (tmp_path / "out/sets/set.json").write_text('{"id": "s", "cases": []}', encoding="utf-8")
    (tmp_path / "tools.jsonl").write_text("[]", encoding="utf-8")
    before = contents(tmp_path)
    sets, tools = str(tmp_path / "out/sets"), str(tmp_path / "tools.jsonl")
    with pytest.raises(pe.OptionError, match=r"would remove the source .*out/sets"):
        pe.export(source, tmp_path / "out", pe.ExportOptions("chatml", target="trl", overwrite=True, prompts=sets))
    with pytest.raises(pe.OptionError, match=r"tools\.jsonl is one of the sources"):
        pe.export(source, tools, pe.ExportOptions("chatml", target="trl", tools=tools))
    assert contents(tmp_path) == before


def store_in(folder: Path) -> Path:
    """Make an eval store whose sets are somewhere else."""
    (folder / "store/results").mkdir(parents=True)
    (folder / "real").mkdir()
    (folder / "store/sets").symlink_to("../real")
    write_lines(folder / "store/results/runs.jsonl", case_result("0", turn("x")))
    (folder / "real/set.json").write_text(eval_set("one"), encoding="utf-8")
    (folder / "real/set.jsonl").write_text(eval_set("one"), encoding="utf-8")
    return folder / "store"


@pytest.mark.parametrize(
    ("source", "prompts", "output"),
    [
        ("store", (), "real"),
        ("stor*", (), "real"),
        ("stor*", (), "store/sets"),
        ("stor*", (), "store/out.jsonl"),
        ("link", (), "store/results/out.jsonl"),
        ("linked", (), "store/results/out.jsonl"),
        ("store/results/*", "real/*.jsonl", "real/set.jsonl"),
        ("store/results/*", "rea?/*.json", "real"),
    ],
)
def test_what_is_read_is_safe_however_it_is_named(
    source: str, prompts: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_in(tmp_path)
    (tmp_path / "link").symlink_to("store/results")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/further").symlink_to("../store/results")
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    options = pe.ExportOptions("chatml", target="trl", prompts=prompts, missing_prompt="keep", overwrite=True)
    with pytest.raises(pe.OptionError, match=r"would remove the source|lies inside the source|is one of the sources"):
        pe.export(source, output, options)
    assert contents(tmp_path) == before
    assert pe.export(source, "out.jsonl", options).exported == 1


def test_rejects_do_not_replace_the_tools(source: Path, tmp_path: Path) -> None:
    (tmp_path / "rejects.jsonl").write_text("[]", encoding="utf-8")
    options = pe.ExportOptions("chatml", target="trl", tools=str(tmp_path / "rejects.jsonl"), on_error="skip")
    with pytest.raises(pe.OptionError, match=r"skip would write bad records to .*rejects\.jsonl, which is in use"):
        pe.export(source, tmp_path / "out.jsonl", options)
    assert (tmp_path / "rejects.jsonl").read_text(encoding="utf-8") == "[]"


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("option", ["prompts", "tools"])
def test_what_cannot_be_looked_at_beside_the_results_is_named(
    option: str, capfd: pytest.CaptureFixture[str], *, old: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:  # the folders of tests are closed to others
        folder = Path(name)
        source = write_lines(folder / "runs.jsonl", case_result("0", turn("x")))
        (folder / "closed").mkdir()
        (folder / "closed/file.json").write_text("{}", encoding="utf-8")
        (folder / "out").mkdir()
        if old:
            (folder / "out/out.jsonl").touch()
        with somebody_else(folder):
            (folder / "closed").chmod(0)
            for bad in ("x" * 300, f"{folder}/closed/file.json", f"{folder}/nowhere.json"):
                command = ["export", str(source), "--format", "chatml", "--target", "trl", f"--{option}", bad]
                assert main([*command, "--output", str(folder / "out/out.jsonl")]) == 4
                message = capfd.readouterr().err
                assert message.startswith(f"polars-export: {bad}: ")
                assert message.count("\n") == 1
            (folder / "closed").chmod(0o700)


def test_a_named_pipe_among_eval_sets_is_not_waited_for(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    os.mkfifo(tmp_path / "real/pipe.json")
    with pytest.raises(pe.SourceError, match=r"pipe\.json: a pipe or a device is read only if it is named as a source"):
        pe.export(store, tmp_path / "out.jsonl", TRL)


def test_what_was_moved_aside_by_a_killed_export_is_put_back(source: Path, tmp_path: Path) -> None:
    """Where two directories cannot be exchanged in one step, one is missing for an instant."""
    folder = tmp_path / "folder"
    work = folder / f".polars-export-{hashlib.sha256(b'out').hexdigest()[:12]}"
    (work / "old/data").mkdir(parents=True)
    work.chmod(0o700)
    (work / "old/data/old.jsonl").write_bytes(b"old")
    with pytest.raises(pe.BadRecordError):
        pe.export(source, folder / "out", pe.ExportOptions("chatml", overwrite=True))
    assert contents(folder) == {"out/data/old.jsonl": b"old"}


def test_standard_output_is_not_flushed_to_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_module, "_FLUSHED", 0)
    good = write_lines(tmp_path / "good.jsonl", case_result())
    with open("/dev/null", "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - it can be sought in, but not flushed
        monkeypatch.setattr(sys, "stdout", nowhere)
        assert pe.export(good, "-").exported == 1


@pytest.fixture
def of_somebody_else() -> Iterator[Path]:
    """A folder of a user who is not the superuser, which this is for now."""
    with tempfile.TemporaryDirectory() as name:  # the folders of tests are closed to others
        folder = Path(name)
        (folder / "out/data").mkdir(parents=True)
        write_lines(folder / "good.jsonl", case_result())
        with somebody_else(folder):
            yield folder


@pytest.mark.parametrize("name", ["out.jsonl", "out"])
def test_into_a_folder_that_may_not_be_listed(name: str, of_somebody_else: Path) -> None:
    folder = of_somebody_else / "out"
    folder.chmod(0o300)
    try:
        assert pe.export(of_somebody_else / "good.jsonl", folder / name).exported == 1
    finally:
        folder.chmod(0o700)
    assert sorted(path.name for path in folder.iterdir()) == sorted(["data", name])


def test_in_place_of_an_empty_directory_that_may_not_be_written_to(of_somebody_else: Path) -> None:
    folder, output = of_somebody_else, of_somebody_else / "out"
    (output / "data").rmdir()
    output.chmod(0o555)
    assert pe.export(folder / "good.jsonl", output, SKIP).exported == 1
    assert stat.S_IMODE(output.stat().st_mode) & ~stat.S_IRWXG == 0o505  # the group is not kept: it is not theirs
    with pytest.raises(pe.OutputError):  # now that there is something in it
        pe.export(folder / "good.jsonl", output, SKIP)
    assert sorted(path.name for path in folder.iterdir()) == ["good.jsonl", "out"]


def test_in_place_of_folders_that_may_not_be_written_to(of_somebody_else: Path) -> None:
    folder, output = of_somebody_else, of_somebody_else / "out"
    (output / "data/old.jsonl").write_bytes(b"old")
    (output / "data").chmod(0o555)
    assert pe.export(folder / "good.jsonl", output, SKIP).exported == 1
    assert sorted(path.name for path in folder.iterdir()) == ["good.jsonl", "out"]


@as_superuser
@pytest.mark.parametrize("name", ["out.jsonl", "out"])
def test_the_group_is_kept(name: str, source: Path, tmp_path: Path) -> None:
    output = tmp_path / name
    output.touch() if output.suffix else output.mkdir()
    os.chown(output, -1, 1_234)
    output.chmod(0o750)
    pe.export(source, output, SKIP)
    assert (output.stat().st_gid, stat.S_IMODE(output.stat().st_mode)) == (1_234, 0o750)


def test_a_pipe_is_not_replaced_by_a_file(source: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "out.jsonl")
    with pytest.raises(pe.OutputError, match=r"out\.jsonl: is no regular file"):
        pe.export(source, tmp_path / "out.jsonl", SKIP)


def test_what_an_export_leaves_is_passed_over_in_a_search(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write_lines(folder / "a.jsonl", case_result())
    (folder / ".polars-export-0123456789ab/new").mkdir(parents=True)
    (folder / ".polars-export-0123456789ab/new/out.jsonl").write_bytes(b'{"messages": [')
    for rejected in (b"", None):
        if rejected is None:
            pe.export(source, folder / "out.jsonl", SKIP)
            (folder / "out.jsonl").unlink()
        else:
            (folder / "rejects.jsonl").write_bytes(rejected)
        report = export(folder, tmp_path / "out.parquet", pe.ExportOptions("chatml"))
        assert report.exported == 1
        assert [os.path.basename(path) for path in report.skipped_files] == ["rejects.jsonl"]  # noqa: PTH119


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_behind_the_export_is_too_late(
    number: int, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("polars_export.terminal.summary", lambda _: os.kill(os.getpid(), number))
    command = ["export", str(source), "--format", "chatml", "--on-error", "skip"]
    before = signal.getsignal(number)
    assert main([*command, "--output", str(tmp_path / "out.jsonl")]) == 0
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(("name", "status"), [("runs.jsonl", 0), ("nowhere.jsonl", 4)])
@pytest.mark.parametrize("redirected", ["2>&-", "2>/dev/full"])
def test_without_standard_error(redirected: str, name: str, status: int, source: Path, tmp_path: Path) -> None:
    command = f'exec "$0" -m polars_export export "$1" --format chatml --on-error skip --output out.jsonl {redirected}'
    arguments = ["/bin/sh", "-c", command, sys.executable, str(source.with_name(name))]
    assert subprocess.run(arguments, check=False, cwd=tmp_path).returncode == status


def test_a_worker_that_cannot_be_started_is_an_error(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = process_executor._start_worker  # noqa: SLF001 - fails when there are no more files or processes
    started: list[Any] = []

    def starts_one() -> object:
        if started:
            raise OSError(24, "Too many open files")
        started.append(start())
        return started[0]

    monkeypatch.setattr(process_executor, "_start_worker", starts_one)
    monkeypatch.setattr(conductor, "_LEAST_FOR_PROCESSES", 0)
    monkeypatch.setattr(segments, "PART_BYTES", 1_000)
    with pytest.raises(pe.WorkerError, match="could not be started: Too many open files; try fewer --workers") as e:
        pe.export([source] * 3, tmp_path / "out.jsonl", pe.ExportOptions("chatml", workers=2))
    assert e.value.exit_status == 5
    assert started[0].process.returncode is not None
    assert [path.name for path in tmp_path.iterdir()] == ["runs.jsonl"]


def eval_set(text: str) -> str:
    return json.dumps({"id": "set", "cases": [{"id": "0", "system_prompt": text, "user_messages": ["?"]}]})


def key_of(source: Path, target: str = "trl", **options: str) -> str:
    asked = pe.ExportOptions("chatml", target=target, **options)  # type: ignore[arg-type]
    return job_key(find_inputs([source], asked).side_input_files(), asked)


def test_the_key_of_a_job_changes_with_the_prompts_of_its_stores(tmp_path: Path) -> None:
    store = tmp_path / "store"
    (store / "results").mkdir(parents=True)
    write_lines(store / "results/runs.jsonl", case_result())
    (store / "prompts").mkdir()
    (store / "sets").symlink_to("prompts")
    (store / "prompts/set.json").write_text(eval_set("one"), encoding="utf-8")
    before = key_of(store)
    assert key_of(store) == before
    assert key_of(store, "reference") != before
    assert key_of(store / "*") != before  # no store any more
    (store / "prompts/set.json").write_text(eval_set("another"), encoding="utf-8")
    assert key_of(store) != before


def test_the_key_of_a_job_tells_prompts_by_their_content(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "runs.jsonl", case_result())
    prompts = tmp_path / "set.json"
    prompts.write_text(eval_set("one"), encoding="utf-8")
    written = prompts.stat()
    before = key_of(source, prompts=str(prompts))
    with prompts.open("r+", encoding="utf-8") as file:  # as long as before
        file.write(eval_set("two"))
    os.utime(prompts, ns=(written.st_atime_ns, written.st_mtime_ns))
    assert prompts.stat().st_mtime_ns == written.st_mtime_ns
    assert key_of(source, prompts=str(prompts)) != before


def test_the_key_of_a_job_is_another_one_when_the_machine_has_been_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(tmp_path / "runs.jsonl", case_result())
    monkeypatch.setattr(fingerprint, "_BOOT", tmp_path / "boot")
    keys = []
    for since in ("today", "today", "yesterday"):
        (tmp_path / "boot").write_text(since, encoding="utf-8")
        keys.append(key_of(tmp_path))
    assert keys[0] == keys[1] != keys[2]


def test_the_key_of_a_job_with_piped_tools_is_never_the_same(tmp_path: Path) -> None:
    write_lines(tmp_path / "runs.jsonl", case_result())
    os.mkfifo(tmp_path / "tools")
    assert key_of(tmp_path, tools=str(tmp_path / "tools")) != key_of(tmp_path, tools=str(tmp_path / "tools"))
