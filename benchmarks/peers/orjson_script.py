"""A script that goes through the case results one by one with orjson."""

from __future__ import annotations

from typing import Any

import orjson

from benchmarks.peers.rows import records
from benchmarks.peers.task import Task
from benchmarks.peers.writing import write


def _line(record: Any) -> bytes:  # noqa: ANN401 - any JSON value
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def _text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return orjson.dumps(value).decode()


def _sorted_text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def main() -> None:
    """Answer the question on the command line."""
    task = Task.from_command_line()
    write(records(task, orjson.loads, _sorted_text, _text), task, _line)


if __name__ == "__main__":
    main()
