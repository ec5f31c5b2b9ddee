"""`polars-export show` in a terminal, in a pipe, and where it cannot write."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.builders import call, case_result, turn, write_lines

COMMAND = [sys.executable, "-m", "polars_export"]
SAMPLE = Path(__file__).parents[1] / "data"


def in_terminal(width: int, *arguments: object, **environment: str) -> str:
    """Run the command in a terminal of this width and return what it writes."""
    main_end, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "NO_COLOR"}}
    process = subprocess.Popen(
        [*COMMAND, "show", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        env={**inherited, "TERM": "xterm-256color", **environment},
    )
    os.close(terminal)
    shown = b""
    try:
        while block := os.read(main_end, 1 << 16):
            shown += block
    except OSError:  # the other end is closed
        pass
    os.close(main_end)
    assert process.wait() == 0
    return shown.decode().replace("\r\n", "\n")


def test_a_terminal_has_colours_and_rows_that_fit(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.jsonl", case_result("c", turn("日本語 " * 40, calls=[call()])))
    coloured = in_terminal(50, source)
    assert "\x1b[1;36massistant: \x1b[0m日本語" in coloured
    plain = in_terminal(50, source, NO_COLOR="1", TERM="dumb")
    assert "\x1b[3" not in plain
    rows = re.sub(r"\x1b\[[0-9;]*m", "", coloured).splitlines()
    assert rows[0] == "━" * 50
    assert max(len(row) + sum("\u3000" < c < "\uffff" for c in row) for row in rows) == 50


def piped(source: str, data: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [*COMMAND, "show", source]
    return subprocess.run(command, input=data, env={**os.environ, **environment}, capture_output=True, check=False)


def test_records_are_read_from_a_pipe(tmp_path: Path) -> None:
    pair = {"prompt": [{"role": "user", "content": "?"}], "chosen": [], "rejected": []}
    lines = (json.dumps(pair) + "\n").encode()
    done = piped("-", gzip.compress(lines))
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"=== record 1 (-:1)\nuser:      ?\n")
    pq.write_table(pa.Table.from_pylist([pair]), tmp_path / "p.parquet")
    done = piped("-", (tmp_path / "p.parquet").read_bytes())
    assert (done.returncode, b"give a file" in done.stderr) == (4, True)
    assert piped("-", json.dumps(case_result("c")).encode()).stdout.startswith(b"=== trace 1: case c,")


def test_a_reader_that_has_seen_enough_ends_it_quietly() -> None:
    command = (
        f"{shlex.join([*COMMAND, 'show', str(SAMPLE), '--limit', '200', '--full'])} | head -1; exit ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)  # noqa: S607 - the shell's pipe
    assert (done.returncode, done.stderr, done.stdout.count(b"\n")) == (0, b"", 1)


def test_an_output_that_cannot_be_written() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*COMMAND, "show", SAMPLE], stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (5, b"polars-export: standard output: No space left on device\n")
    closed = f"{shlex.join([*COMMAND, 'show', str(SAMPLE)])} >&-"
    done = subprocess.run(["bash", "-c", closed], stderr=subprocess.PIPE, check=False)  # noqa: S607 - as above
    assert (done.returncode, done.stderr) == (5, b"polars-export: standard output: is closed\n")


def test_an_encoding_without_the_characters(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.jsonl", case_result("c", turn("日本 é")))
    done = piped(str(source), PYTHONIOENCODING="latin-1", PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"assistant: \\u65e5\\u672c \xe9\n" in done.stdout
