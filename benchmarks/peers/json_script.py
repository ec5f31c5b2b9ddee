"""The script that goes through the case results one by one, with the standard library's json."""

from __future__ import annotations

import json

from benchmarks.peers.rows import records
from benchmarks.peers.task import Task
from benchmarks.peers.writing import write

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_encode_sorted = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


def _line(record: object) -> bytes:
    return _encode(record).encode() + b"\n"


def main() -> None:
    """Answer the question on the command line."""
    task = Task.from_command_line()
    write(records(task, json.loads, _encode_sorted, _encode), task, _line)


if __name__ == "__main__":
    main()
