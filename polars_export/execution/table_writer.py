"""Write the traces of a part as stored tables."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from polars_export.execution.tasks import RenderedPart, TablePart
from polars_export.inputs.decoders import Decoders
from polars_export.pipeline.card_statistics import CardStatistics
from polars_export.process import pause_gc
from polars_export.report import DropReason
from polars_export.sources.segments import lines_in
from polars_export.table_files.blocks import SCHEMAS, row_groups
from polars_export.tables.builder import TableBuilder
from polars_export.tables.projection import Projection
from polars_export.writers.blocks import Encoding, RowGroupWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from polars_export.execution.part_reader import PartReader
    from polars_export.execution.quarantine import Rejects
    from polars_export.execution.table_reader import TablePartReader
    from polars_export.execution.tasks import CountLines, Job, OnProgress, PartAccount, StoreTables
    from polars_export.prompts.join import SideInputs
    from polars_export.tables.tables import Tables

__all__ = ["TableWriter"]

_BATCH_BYTES = 17 << 20  # of the input to a batch, as where records are made

_TRACES_OF_A_PART = 1 << 32
"""How far the numbers of the traces of two parts are apart: who writes a part does not know how many stand before."""


class TableWriter:
    """Writes the parts of one job."""

    def __init__(
        self, job: Job, reader: PartReader, tables: TablePartReader, side_inputs: Callable[[], SideInputs | None]
    ) -> None:
        self._job = job
        self._reader = reader
        self._tables = tables
        self._side_inputs = side_inputs
        self._decoders = Decoders(Projection.FULL)

    def store(self, task: StoreTables, on_progress: OnProgress) -> RenderedPart:
        """Write a part to its file.

        Raises:
            InputError: A source or a record cannot be used.
            OutputError: The part could not be written.
        """
        path, statistics = self._job.parts / f"{task.number:06d}", CardStatistics()
        first = task.number * _TRACES_OF_A_PART
        with pause_gc(), self._reader.open(task.number) as (account, rejects):
            read = self._read(task, account, rejects, on_progress)
            with closing(RowGroupWriter(path, self._job.output)) as writer:
                for batch in read:
                    tables = batch.numbered(first)
                    first += len(tables)
                    if side_inputs := self._side_inputs():
                        tables = side_inputs.attach(tables)
                    statistics.see(tables.traces)
                    account.counters.exported += len(tables)
                    account.counters.records += len(tables)
                    for name, rows in row_groups(tables):
                        writer.write(name, rows, Encoding(SCHEMAS[name], (), "parquet", for_hub=True))
        return RenderedPart(path, writer.blocks, statistics, account)

    def count_lines(self, task: CountLines) -> tuple[int, ...]:
        """Return for each segment of a part the lines that start in it, of files that are cut.

        Raises:
            SourceError: A file cannot be read.
        """
        return () if isinstance(task.part, TablePart) else tuple(map(lines_in, task.part))

    def _read(
        self, task: StoreTables, account: PartAccount, rejects: Rejects, on_progress: OnProgress
    ) -> Iterator[Tables]:
        part = task.part
        if isinstance(part, TablePart):
            account.checksums.update(self._tables.checksums(part))
            for tables in self._tables.whole(part, on_progress):
                account.counters.traces_read += len(tables)
                yield tables
            return
        builder, size = TableBuilder(Projection.FULL), 0
        lines = {(segment.number, segment.start): count for segment, count in zip(part, task.lines, strict=True)}
        for segment, match, chunk in self._reader.chunks(part, account, rejects, on_progress):
            decoded = self._decoders.of(match).decode(chunk)
            account.counters.traces_read += len(decoded) + len(decoded.rejected)
            account.counters.drop(DropReason.INVALID, rejects.records(decoded))
            if (before := lines[segment.number, segment.start]) and chunk.array_path is None:
                positions = decoded.columns.traces["position"]
                decoded.columns.traces["position"] = [position + before for position in positions]
            builder.add(decoded.columns)
            size += chunk.spans[-1][1] - chunk.spans[0][0] if chunk.spans else 0
            if size >= _BATCH_BYTES and len(builder):
                yield builder.build()
                size = 0
        if len(builder):
            yield builder.build()
