"""Write frames in memory to two files, from which any process reads them a row group at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from polars_export.table_files.layout import TableFiles

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from polars_export.tables.tables import Tables

__all__ = ["write_table_files"]

_TRACES_AT_ONCE = 1_000


def write_table_files(name: str, tables: Tables, folder: Path) -> TableFiles:
    """Write tables to a folder, which must exist, and return the files.

    Args:
        name: What they are called in messages.
        tables: The tables, in step.
        folder: Where to write.

    Raises:
        OSError: A file cannot be written.
    """
    starts = range(0, max(len(tables), 1), _TRACES_AT_ONCE)
    lengths = [int(tables.traces["turns"].slice(start, _TRACES_AT_ONCE).sum()) for start in starts]
    traces = [tables.traces.slice(start, _TRACES_AT_ONCE) for start in starts]
    ends = [sum(lengths[: place + 1]) for place in range(len(lengths))]
    turns = [tables.turns.slice(end - length, length) for end, length in zip(ends, lengths, strict=True)]
    files = (folder / "traces.parquet", folder / "turns.parquet")
    for file, parts in zip(files, (traces, turns), strict=True):
        _write(parts, file)
    return TableFiles(name, (str(files[0]),), (str(files[1]),))


def _write(parts: list[pl.DataFrame], file: Path) -> None:
    schema = parts[0].to_arrow().schema
    with pq.ParquetWriter(str(file), schema, compression="none", use_dictionary=False) as writer:
        for part in parts:
            if part.height:
                writer.write_table(part.to_arrow().cast(schema), row_group_size=part.height)
