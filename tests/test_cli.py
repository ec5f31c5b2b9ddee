"""The command line: one clear line and the right exit status for everything that can go wrong."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

import polars_export as pe
from polars_export.cli import main
from tests.builders import case_result, turn, write_document, write_lines

SAMPLE = Path(__file__).parents[1] / "data"
RUN = SAMPLE / "results/airline/1715770000.json"
COMMAND = [sys.executable, "-m", "polars_export"]


def fails(capfd: pytest.CaptureFixture[str], status: int, *arguments: object) -> str:
    """Run a command that must fail with this status and one line; return the line."""
    assert main([str(argument) for argument in arguments]) == status
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("polars-export: ")
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", RUN, "--fromat", "chatml", "--output", "o.jsonl"], "Did you mean one of: '--format'"),
        (
            ["export", RUN, "--format", "xml", "--output", "o.jsonl"],
            "'xml' is not one of 'chatml', 'dpo', 'sharegpt', 'kto', 'prompt-completion'",
        ),
        (["export", RUN, "--output", "o.jsonl"], "Missing option '--format'"),
        (["export", RUN, "--format", "chatml"], "Missing option '--output'"),
        (["export", "--format", "chatml", "--output", "o.jsonl"], "Missing argument 'SOURCE...'"),
        (["export", RUN, "--format", "chatml", "--output", "o.csv"], "expected a name that ends in .jsonl"),
        (["export", RUN, "--format", "chatml", "--output", "o.jsonl", "--quality-threshold", "x"], "not a valid float"),
        (["export", RUN, "--format", "chatml", "--output", "o.jsonl", "--quality-threshold", "nan"], "a finite number"),
        (["export", RUN, "--format", "kto", "--output", "o.jsonl"], "reference; it offers: chatml, dpo, sharegpt"),
        (["export", RUN, "--format", "kto", "--target", "openai", "--output", "o.jsonl"], "it offers: chatml, dpo"),
        (["export", RUN, "--format", "chatml", "--output", "o.jsonl", "--workers", "0"], "not in the range x>=1"),
        (["exprt"], "Did you mean 'export'?"),
    ],
)
def test_wrong_usage(arguments: list[object], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert message in fails(capfd, 2, *arguments)


def test_nothing_to_export_names_the_threshold_and_the_traces_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "o.jsonl"
    arguments = ["export", RUN, "--format", "chatml", "--quality-threshold", "2.5", "--output", output]
    assert "at quality threshold 2.5: 50 traces read, 50 below_threshold" in fails(capfd, 3, *arguments)
    assert "a pair needs two qualifying runs" in fails(capfd, 3, "export", RUN, "--format", "dpo", "--output", output)
    assert list(tmp_path.iterdir()) == []


def test_bad_input(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.json").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "report.json").write_text('{"schema_version": 1, "cases": []}', encoding="utf-8")
    write_lines(tmp_path / "line.jsonl", case_result(), {"case_id": "x", "invocation": 3})
    write_document(tmp_path / "case.json", case_result(), case_result("y", turn("x", index=-1)))
    for name, message in {
        "missing.json": "missing.json: no such file or directory",
        "empty.json": "empty.json: the file is empty",
        "folder": "folder: the directory holds no traces",
        "report.json": "report.json: a report artifact holds no traces",
        "line.jsonl": "line.jsonl:2: $.invocation: expected an object, found the number 3",
        "case.json": "case.json: $.case_results[1].invocation.turns[0].turn_index: expected an integer",
    }.items():
        arguments = ["export", tmp_path / name, "--format", "chatml", "--output", tmp_path / "out.jsonl"]
        assert message in fails(capfd, 4, *arguments)
        assert not (tmp_path / "out.jsonl").exists()


def test_what_a_trainer_cannot_use(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sets = tmp_path / "sets"
    sets.mkdir()
    prompts = {"id": "set", "name": "s", "cases": [{"id": "a", "system_prompt": "", "user_messages": ["?"]}]}
    (sets / "one.json").write_text(json.dumps(prompts), encoding="utf-8")
    run = write_document(tmp_path / "run.json", case_result("a"), case_result("b"))
    (tmp_path / "tools.json").write_text('{"set": [{"type": "function"}]}', encoding="utf-8")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    export = ["export", run, "--format", "chatml", "--target", "trl"]
    out = ["--output", tmp_path / "out"]
    known = ["--prompts", sets]
    assert "2 cases have no user message in the eval sets: set/a, set/b; pass" in fails(capfd, 4, *export, *out)
    assert "1 cases have no user message in the eval sets: set/b; pass" in fails(capfd, 4, *export, *out, *known)
    tools = ["--tools", tmp_path / "tools.json"]
    assert "$.set[0].function" in fails(capfd, 4, *export, *out, *known, *tools)
    assert "not empty; --overwrite" in fails(capfd, 5, *export, *known, "--output", tmp_path / "full")
    (sets / "two.json").write_text(json.dumps(prompts), encoding="utf-8")
    message = fails(capfd, 4, *export, *out, *known)
    assert "one.json" in message
    assert "two.json" in message
    assert not (tmp_path / "out").exists()


def test_names_with_control_characters_stay_on_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "two\nlines\x1b[31m.json"
    source.touch()
    assert "\x1b" not in fails(capfd, 4, "export", source, "--format", "chatml", "--output", tmp_path / "out.jsonl")


def test_an_output_that_cannot_be_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    message = fails(capfd, 5, "export", RUN, "--format", "chatml", "--output", tmp_path / "no/out.jsonl")
    assert "does not exist" in message


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_standard_output_that_is_full() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "export", RUN, "--format", "chatml", "--output", "-"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (5, b"polars-export: standard output: No space left on device\n")


@pytest.mark.parametrize(("redirect", "status", "message"), [("<&-", 4, "input is closed"), (">&-", 5, "is closed")])
def test_standard_streams_that_are_closed(redirect: str, status: int, message: str) -> None:
    source = "-" if "<" in redirect else RUN
    command = f"{sys.executable} -m polars_export export {source} --format chatml --output - {redirect}"
    done = subprocess.run(["/bin/sh", "-c", command], stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr.count(b"\n")) == (status, 1)
    assert message in done.stderr.decode()


def test_standard_input_to_standard_output() -> None:
    lines = "".join(json.dumps(case_result(str(number))) + "\n" for number in range(3))
    done = subprocess.run(
        [*COMMAND, "export", "-", "--format", "sharegpt", "--output", "-"],
        input=lines.encode(),
        capture_output=True,
        check=True,
    )
    assert [json.loads(line)["metadata"]["case_id"] for line in done.stdout.splitlines()] == ["0", "1", "2"]
    assert done.stderr == b""


def test_the_command_line_writes_what_python_returns(tmp_path: Path) -> None:
    options = ["--format", "dpo", "--target", "reference", "--quality-threshold", "0.3", "--no-metadata", "--quiet"]
    assert main(["export", str(SAMPLE), *options, "--output", str(tmp_path / "cli.jsonl")]) == 0
    pe.export(SAMPLE, tmp_path / "api.jsonl", pe.ExportOptions("dpo", quality_threshold=0.3, include_metadata=False))
    assert (tmp_path / "cli.jsonl").read_bytes() == (tmp_path / "api.jsonl").read_bytes()


def test_without_arguments_there_is_help(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Usage: polars-export" in capfd.readouterr().err
    assert main(["export", "--help"]) == 0
    assert "Exit status: 0 done" in capfd.readouterr().out


def test_help_and_version_load_neither_polars_nor_arrow() -> None:
    code = (
        "import sys; from polars_export import cli; cli.main(['--help']); print({'polars', 'pyarrow'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")


def on_a_terminal(*arguments: object) -> str:
    """Run a command with standard error on a terminal and return what it shows there."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([*COMMAND, *map(str, arguments)], stderr=theirs, stdout=subprocess.PIPE) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # how Linux says that nobody is on the other side any more
                break
            if not part:
                break
            shown += part
        assert process.wait() == 0
    os.close(ours)
    return shown.decode()


def test_a_terminal_shows_where_every_trace_went(tmp_path: Path) -> None:
    shown = on_a_terminal("export", SAMPLE, "--format", "dpo", "--output", tmp_path / "pairs.jsonl")
    for part in (
        "50 records in",
        "exported",
        "100",
        "dropped: not_selected",
        "200",
        "not carried",
        "traces/s",
        "MB/s",
    ):
        assert part in shown


def test_a_terminal_names_the_first_files_that_a_search_skips(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_lines(tmp_path / "in/z.jsonl", case_result())
    for number in range(12):
        (tmp_path / f"in/{number:02}.json").write_text("[]", encoding="utf-8")
    shown = on_a_terminal("export", tmp_path / "in", "--format", "chatml", "--output", tmp_path / "out.jsonl")
    lines = shown.replace("\r\n", "\n")
    assert lines.count("a JSON array of other values") == 10
    assert "skipped 2 more files without traces" in lines


def test_quiet_shows_nothing(tmp_path: Path) -> None:
    shown = on_a_terminal("export", SAMPLE, "--format", "dpo", "--output", tmp_path / "pairs.jsonl", "--quiet")
    assert shown == ""


def test_an_interrupted_export_leaves_the_old_output(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    output.write_bytes(b"old")
    line = json.dumps(case_result("x", turn("word " * 1_000))).encode() + b"\n"
    with subprocess.Popen(
        [*COMMAND, "export", "-", "--format", "chatml", "--output", output],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write(line * 2_000)  # several chunks, so that a part has been written
        process.stdin.flush()
        while not list(tmp_path.glob(".polars-export-*")):
            assert process.poll() is None
            time.sleep(0.01)
        while fcntl.ioctl(process.stdin, termios.FIONREAD, bytes(4)) != bytes(4):  # bytes that it has not read yet
            time.sleep(0.01)
        time.sleep(0.2)  # by now it waits for more
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 130
        assert process.stderr.read() == b"polars-export: interrupted; the previous output is unchanged\n"
    assert output.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [output]
