"""Stored tables as LazyFrames."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from polars_export.errors import SourceError
from polars_export.table_files.layout import find_table_files

if TYPE_CHECKING:
    from polars_export.sources.find import Source

__all__ = ["LazyTables", "scan_tables"]


@dataclass(frozen=True, slots=True)
class LazyTables:
    """Stored tables, of which nothing is read until a query is collected.

    Attributes:
        traces: One row per trace.
        turns: One row per turn, in the order of the traces; the column `trace` joins them.
    """

    traces: pl.LazyFrame
    turns: pl.LazyFrame


def scan_tables(path: Source) -> LazyTables:
    """Return both tables of a directory that `write_tables` or `polars-export tables` wrote, as LazyFrames.

    Raises:
        SourceError: The directory holds no tables.
    """
    name = os.fspath(path)
    files = find_table_files(name)
    if files is None:
        raise SourceError(name, "expected a directory with stored tables: Parquet files of traces and of turns")
    return LazyTables(pl.scan_parquet(list(files.traces)), pl.scan_parquet(list(files.turns)))
