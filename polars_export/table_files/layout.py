"""Where the files of stored tables are. Loads neither Polars nor pyarrow."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from polars_export.sources.store import FileKind, as_source_error, store_for

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TableFiles", "TraceGroup", "find_table_files"]

_ENDING = ".parquet"


class TableFiles(NamedTuple):
    """The files of stored tables; the rows of each table are those of its files, in order.

    Attributes:
        name: What they are called in messages.
        traces: Parquet files of `traces`.
        turns: Parquet files of `turns`.
    """

    name: str
    traces: tuple[str, ...]
    turns: tuple[str, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """All files."""
        return self.traces + self.turns


class TraceGroup(NamedTuple):
    """Consecutive traces: a row group of a file, and their turns.

    Attributes:
        file: The place of the file among those of `traces`.
        row_group: Which of its row groups.
        rows: The number of traces.
        first_row: How many traces stand before.
        first_turn: How many turns stand before those of these traces.
        turns: The number of turns.
        size: Bytes that they take uncompressed, about.
    """

    file: int
    row_group: int
    rows: int
    first_row: int
    first_turn: int
    turns: int
    size: int


def find_table_files(path: str) -> TableFiles | None:
    """Return the tables that a directory holds, None if it holds none.

    These are the shards of a repository of tables, `data/traces-*.parquet` and `data/turns-*.parquet`; or files
    `traces.parquet` and `turns.parquet`; or folders `traces` and `turns` of Parquet files. Several are in the order of
    their names.

    Raises:
        SourceError: The directory cannot be read.
    """
    found = {name: tuple(_files(path, name)) for name in ("traces", "turns")}
    return TableFiles(path, **found) if all(found.values()) else None


def _files(directory: str, name: str) -> Iterator[str]:
    alone = _join(directory, f"{name}{_ENDING}")
    if _kind(alone) is FileKind.FILE:
        yield alone
        return
    for folder, start in ((_join(directory, "data"), f"{name}-"), (_join(directory, name), "")):
        if _kind(folder) is FileKind.FOLDER:
            with as_source_error(folder):
                listed = store_for(folder).list(folder)
            files = sorted(file for file in listed.files if file.startswith(start) and file.endswith(_ENDING))
            yield from (_join(folder, file) for file in files if not file.startswith("."))
            if files:
                return


def _join(folder: str, name: str) -> str:
    return os.path.join(folder, name)  # noqa: PTH118 - as the search joins them


def _kind(path: str) -> FileKind | None:
    try:
        return store_for(path).status(path).kind
    except (OSError, ValueError):
        return None
