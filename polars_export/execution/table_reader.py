"""Read parts of stored tables for an export: what qualifies, what decides on a choice, and what was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from polars_export.pipeline.qualifying_tables import QualifyingTables
from polars_export.sources.fingerprint import block_checksums
from polars_export.sources.segments import Segment, size_of
from polars_export.table_files.reader import TableReader
from polars_export.tables.projection import Projection
from polars_export.tables.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polars_export.execution.tasks import Job, OnProgress, StoredTables, TablePart
    from polars_export.pipeline.counters import Counters
    from polars_export.table_files.layout import TableFiles, TraceGroup

__all__ = ["TablePartReader"]


class TablePartReader:
    """Reads the parts of stored tables of one job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._qualifying = QualifyingTables(job.options)
        self._readers: dict[TableFiles, TableReader] = {}

    def qualifying(self, part: TablePart, counters: Counters, on_progress: OnProgress) -> Iterator[Tables]:
        """Yield the traces of a part that stay by the rules which look at each of them, a row group at a time.

        Of a row group without such traces, only the columns are read that decide.

        Raises:
            InputError: The tables cannot be used.
            OptionError: The target has no records for their kind of input.
        """
        reader, qualifying = self._reader(part.tables.files), self._qualifying
        for group in part.groups:
            reasons = qualifying.reasons(reader.traces(group, qualifying.columns), counters, part.tables.files.name)
            if reasons.null_count():
                tables = reader.tables(group, qualifying.projection)
                yield qualifying.as_records_need(tables.filter(reasons.is_null()))
            on_progress(self.share(part, group), group.rows)

    def outlines(self, part: TablePart, on_progress: OnProgress) -> Iterator[tuple[TraceGroup, Tables]]:
        """Yield the traces of a part with the columns that decide, a row group at a time.

        Raises:
            InputError: The tables cannot be used.
            OptionError: The target has no records for their kind of input.
        """
        reader, qualifying = self._reader(part.tables.files), self._qualifying
        for group in part.groups:
            if self._job.options.splits_by_prompt:
                tables = reader.tables(group, Projection.CONVERSATIONS, qualifying.columns)
            else:
                tables = Tables(reader.traces(group, qualifying.columns), pl.DataFrame())
            qualifying.check_inputs(tables.traces, part.tables.files.name)
            yield group, tables
            on_progress(self.share(part, group), group.rows)

    def whole(self, part: TablePart, on_progress: OnProgress) -> Iterator[Tables]:
        """Yield the traces of a part with all columns, a row group at a time; those of some sources if it says so.

        Raises:
            SourceError: The tables cannot be used.
        """
        reader = self._reader(part.tables.files)
        for group in part.groups:
            if part.keep is None:
                yield reader.tables(group, Projection.FULL)
            else:
                keep = reader.traces(group, ["source"])["source"].is_in(part.keep)
                if keep.any():
                    yield reader.tables(group, Projection.FULL).filter(keep)
            on_progress(self.share(part, group), group.rows)

    def rows(self, tables: StoredTables, rows: pl.Series) -> Tables:
        """Return the traces of some rows, which ascend, as the records need them.

        Raises:
            SourceError: The tables cannot be read.
        """
        reader, parts = self._reader(tables.files), list[Tables]()
        for group in tables.groups:
            inside = rows.filter((rows >= group.first_row) & (rows < group.first_row + group.rows))
            if len(inside):
                read = reader.tables(group, self._qualifying.projection)
                parts.append(read.take((inside - group.first_row).cast(pl.UInt32)))
        joined = Tables(pl.concat([part.traces for part in parts]), pl.concat([part.turns for part in parts]))
        return self._qualifying.as_records_need(joined)

    def share(self, part: TablePart, group: TraceGroup) -> int:
        """Return how many bytes of a part, as it is stored, a row group of it takes."""
        total = sum(each.size for each in part.groups)
        return part.size * group.size // total if total else 0

    def checksums(self, part: TablePart) -> dict[int, dict[int, int]]:
        """Return the checksums of the blocks of all files of the tables, if the part is their first one."""
        files = part.tables.files
        if part.start or part.keep is not None or not self._job.into_directory:
            return {}
        segments = (
            Segment(part.number + place, path, size=size_of(path), file_size=size_of(path))
            for place, path in enumerate(files.paths)
        )
        return {segment.number: block_checksums(segment) for segment in segments}

    def _reader(self, files: TableFiles) -> TableReader:
        if files not in self._readers:
            self._readers[files] = TableReader(files)
        return self._readers[files]
