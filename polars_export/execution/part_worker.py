"""What one process does of an export: tasks, from bytes to blocks."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, TypeVar, cast

from polars_export.execution.part_reader import PartReader
from polars_export.execution.part_scanner import PartScanner
from polars_export.execution.quarantine import RaiseFirst
from polars_export.execution.repository import describe, describe_tables, records_in_test, splits_of
from polars_export.execution.selected_traces import read_selected
from polars_export.execution.table_reader import TablePartReader
from polars_export.execution.table_writer import TableWriter
from polars_export.execution.tasks import (
    CheckPart,
    CountLines,
    DescribeDataset,
    PartAccount,
    RenderedPart,
    RenderPart,
    RenderSelection,
    RenderTables,
    ScanPart,
    ScanTables,
    StoreSideInputs,
    StoreTables,
)
from polars_export.formats import record_format
from polars_export.inputs.decoding import decode_with_headroom
from polars_export.pipeline.card_statistics import CardStatistics
from polars_export.pipeline.render import keep_prompted, render_batch
from polars_export.pipeline.threshold_reader import ThresholdReader, record_decoders
from polars_export.process import pause_gc
from polars_export.prompts.side_inputs import load_side_inputs, open_side_inputs, store_side_inputs
from polars_export.selection.openings import opening_messages
from polars_export.selection.rules import rules_of
from polars_export.writers import file_type_of
from polars_export.writers.blocks import BLOCK_BYTES, BlockWriter, Encoding
from polars_export.writers.disk import os_errors_reported
from polars_export.writers.jsonlines import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polars_export.execution.quarantine import Rejects
    from polars_export.execution.tasks import Job, OnProgress, Task
    from polars_export.pipeline.render import RenderedBatch
    from polars_export.prompts.join import SideInputs
    from polars_export.tables.tables import Tables

__all__ = ["PartWorker"]

_Result = TypeVar("_Result")


def _encoding_of(job: Job) -> Encoding:
    """Return how the records of a job become blocks."""
    format_, options = record_format(job.options), job.options
    schema = format_.schema(options)
    if not job.into_directory:
        return Encoding(schema, format_.ABSENT, file_type_of(job.output))
    repository = options.repository
    most = min(BLOCK_BYTES, repository.max_shard_bytes)
    return Encoding(schema, format_.ABSENT, repository.file_type.value, for_hub=True, block_bytes=most)


class PartWorker:
    """Does the tasks of one job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._options = job.options
        self._encoding = _encoding_of(job)
        self._rules = rules_of(job.options)
        self._reader = PartReader(job)
        self._qualifying = ThresholdReader(job.options)
        self._tables = TablePartReader(job)
        self._scanner = PartScanner(job.options, self._reader, self._tables, self._side_inputs)
        self._table_writer = TableWriter(job, self._reader, self._tables, self._side_inputs)
        self._opened_side_inputs: SideInputs | None = None

    def run(self, task: Task[_Result], on_progress: OnProgress) -> _Result:
        """Run a task of the job.

        Raises:
            InputError: A source or a record cannot be used.
            OutputError: The files of the part could not be written.
        """
        result: object = None
        match task:
            case RenderPart():
                result = self._render_part(task, on_progress)
            case RenderSelection():
                result = self._render_selection(task)
            case ScanPart():
                result = self._scanner.scan(task, on_progress)
            case CheckPart():
                self._check_part(task)
            case StoreSideInputs():
                self._store_side_inputs(task)
            case DescribeDataset():
                result = self._describe(task)
            case _:
                result = self._run_on_tables(task, on_progress)
        return cast("_Result", result)  # each task says in its type what it results in

    def _run_on_tables(self, task: Task[_Result], on_progress: OnProgress) -> object:
        """Run a task that reads or writes stored tables."""
        match task:
            case RenderTables():
                return self._render_tables(task, on_progress)
            case ScanTables():
                return self._scanner.scan_tables(task, on_progress)
            case CountLines():
                return self._table_writer.count_lines(task)
            case StoreTables():
                return self._table_writer.store(task, on_progress)
        raise TypeError(f"unknown task {type(task).__name__}")

    def _describe(self, task: DescribeDataset) -> dict[str, str]:
        if self._job.stores_tables:
            return describe_tables(task, self._options)
        return describe(task, self._options, self._encoding)

    def _render_part(self, task: RenderPart, on_progress: OnProgress) -> RenderedPart:
        """Render the traces of a part that stay by rules which look at each of them.

        Raises:
            InputError: A source or a record cannot be used.
            OutputError: The part could not be written.
        """
        with pause_gc(), self._reader.open(task.number) as (account, rejects):
            return self._write(task.number, self._qualifying_tables(task, account, rejects, on_progress), account)

    def _qualifying_tables(
        self, task: RenderPart, account: PartAccount, rejects: Rejects, on_progress: OnProgress
    ) -> Iterator[Tables]:
        """Yield the traces of a part that are to be rendered, with their prompts, a batch at a time."""
        located = self._reader.chunks(task.part, account, rejects, on_progress)
        for batch in self._qualifying.read(((match, chunk) for _, match, chunk in located), rejects):
            account.counters.add(batch.counters)
            if batch.tables and (tables := self._prompted(batch.tables, account)):
                yield tables

    def _render_tables(self, task: RenderTables, on_progress: OnProgress) -> RenderedPart:
        """Render the traces of a part of stored tables that stay by rules which look at each of them.

        Raises:
            InputError: The tables cannot be used.
            OutputError: The part could not be written.
        """
        account = PartAccount(checksums=self._tables.checksums(task.part))
        with pause_gc():
            read = self._tables.qualifying(task.part, account.counters, on_progress)
            batches = (tables for batch in read if (tables := self._prompted(batch, account)))
            return self._write(task.number, batches, account)

    def _prompted(self, tables: Tables, account: PartAccount) -> Tables | None:
        """Return the traces that are to be rendered, with their prompts; None where there are none."""
        if side_inputs := self._side_inputs():
            tables, dropped = keep_prompted(side_inputs.attach(tables), self._rules.prompted, self._options)
            account.counters.add(dropped)
        return tables if tables and not account.counters.missing else None

    def _render_selection(self, task: RenderSelection) -> RenderedPart:
        """Render traces that were selected among all.

        Raises:
            InputError: A record cannot be used, or a source has changed.
            OutputError: The part could not be written.
        """
        with pause_gc():
            side_inputs = self._side_inputs()
            decoders = record_decoders(self._options)
            selected = read_selected(task, decoders, self._tables, are_checked=self._options.skips)
            tables = map(side_inputs.attach, selected) if side_inputs else selected
            return self._write(task.number, tables, PartAccount())

    def _check_part(self, task: CheckPart) -> None:
        """Decode every trace of a part to all columns that the records need.

        Raises:
            InputError: The first thing that cannot be used.
        """
        decoders, rejects = record_decoders(self._options), RaiseFirst()
        for _, match, chunk in self._reader.chunks(task.part, PartAccount(), rejects, lambda *_: None, again=True):
            rejects.records(decode_with_headroom(decoders.of(match), chunk))

    def _store_side_inputs(self, task: StoreSideInputs) -> None:
        """Read prompts and tools, and write them to the file from which every process has them.

        Raises:
            InputError: A file cannot be used.
            OutputError: The file could not be written.
        """
        side_inputs = load_side_inputs(self._job.eval_sets, self._options)
        with os_errors_reported(self._job.output):
            store_side_inputs(side_inputs, task.path)

    def _side_inputs(self) -> SideInputs | None:
        if self._job.side_inputs is None:
            return None
        if self._opened_side_inputs is None:
            self._opened_side_inputs = open_side_inputs(self._job.side_inputs)
        return self._opened_side_inputs

    def _write(self, number: int, batches: Iterable[Tables], account: PartAccount) -> RenderedPart:
        """Render batches, and write the records to the file of the part."""
        path, statistics = self._job.parts / f"{number:06d}", CardStatistics()
        with closing(BlockWriter(path, self._encoding, self._job.output)) as writer:
            for tables in batches:
                batch = render_batch(tables, self._options)
                account.counters.add(batch.counters)
                if not batch.rendered.records.num_rows:
                    continue
                if self._job.into_directory:
                    statistics.see(batch.exported_traces())
                    statistics.sample = statistics.sample or self._sample(batch)
                in_test = records_in_test(batch, self._options)
                if in_test is not None and self._options.target.joins_prompts:
                    statistics.see_prompts(opening_messages(batch.tables)[batch.rendered.rows], in_test)
                for split, records in splits_of(batch, in_test):
                    writer.write(split, records)
        return RenderedPart(path, writer.blocks, statistics, account)

    def _sample(self, batch: RenderedBatch) -> str:
        first = batch.rendered.records.slice(0, 1)
        return encode(first, self._encoding.schema, self._encoding.absent).decode().rstrip("\n")
