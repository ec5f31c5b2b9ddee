"""Tables in memory as files that the processes of an export read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.execution.table_parts import FRAMES
from polars_export.pipeline.qualifying_tables import QualifyingTables
from polars_export.table_files.write import write_table_files
from polars_export.tables.frames import conform_tables
from polars_export.tables.projection import Projection
from polars_export.tables.schema import TRACES, TURNS, polars_schema
from polars_export.tables.tables import Tables

if TYPE_CHECKING:
    from pathlib import Path

    from polars_export.options import ExportOptions
    from polars_export.table_files.layout import TableFiles

__all__ = ["store_frames"]


def store_frames(tables: Tables, folder: Path, options: ExportOptions, *, is_full: bool = False) -> TableFiles:
    """Write to a folder of tables what an export reads of them, or all that tables have.

    Raises:
        SourceError: The tables are not what they should be.
        OSError: A file cannot be written.
    """
    conformed, qualifying = conform_tables(tables), QualifyingTables(options)
    least = Projection.CONVERSATIONS if options.splits_by_prompt else Projection.RECORDS
    projection = Projection.FULL if is_full else max(qualifying.projection, least)
    names = {*polars_schema(TRACES, projection), *qualifying.columns}
    traces = conformed.traces.select(name for name in conformed.traces.columns if name in names)
    turns = conformed.turns.select(list(polars_schema(TURNS, projection)))
    return write_table_files(FRAMES, Tables(traces, turns), folder)
