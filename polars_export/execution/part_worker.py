"""What one process does of an export: a part, or some pairs, from bytes to blocks."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, TypeVar, cast

import polars as pl
import pyarrow as pa

from polars_export.errors import InputError, SourceError
from polars_export.execution.quarantine import Quarantine, RaiseFirst, raise_first
from polars_export.execution.repository import describe, splits_of
from polars_export.execution.tasks import (
    CheckPart,
    DescribeDataset,
    PartAccount,
    RenderedPart,
    RenderPart,
    RenderSelection,
    ScannedPart,
    ScanPart,
    StoreSideInputs,
    add_lines,
)
from polars_export.formats import record_format
from polars_export.inputs.eval_results.decoder import TraceDecoder
from polars_export.inputs.eval_results.flatten import ColumnBuilder
from polars_export.inputs.reader import ReadLimits, SourceReader
from polars_export.pipeline.card_statistics import CardStatistics
from polars_export.pipeline.render import rendered
from polars_export.pipeline.stages import (
    BATCH_BYTES,
    ThresholdReader,
    projection_of,
    prompted,
    prompted_traces,
    scored,
)
from polars_export.process import pause_gc
from polars_export.prompts.side_inputs import load_side_inputs, open_side_inputs, store_side_inputs
from polars_export.report import DropReason
from polars_export.selection.case_key import case_hash
from polars_export.selection.pairs import CASE
from polars_export.selection.scoring import qualifies
from polars_export.sources.random_access import RecordLocation, StoredSource, read_records
from polars_export.sources.stream import is_piped
from polars_export.tables.projection import Projection
from polars_export.tables.tables import Tables
from polars_export.targets import Unit
from polars_export.writers import file_type_of
from polars_export.writers.blocks import BLOCK_BYTES, BlockWriter, Encoding
from polars_export.writers.disk import os_errors_reported
from polars_export.writers.jsonlines import encode
from polars_export.writers.rejects import PartRejects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from polars_export.execution.quarantine import Rejects
    from polars_export.execution.tasks import Job, OnProgress, Task
    from polars_export.pipeline.counters import Counters
    from polars_export.pipeline.render import RenderedBatch
    from polars_export.prompts.join import SideInputs
    from polars_export.sources.chunk import Chunk
    from polars_export.sources.segments import Part, Segment

__all__ = ["PartWorker"]

_Result = TypeVar("_Result")

_PLACES = {"source": pl.UInt32, "offset": pl.UInt64, "length": pl.UInt32}
_SCANNED = _PLACES | {"score": pl.Float64, "case_high": pl.UInt64, "case_low": pl.UInt64}

_SCANNED_AT_ONCE = 5_000  # traces: a compressed file, which is one part, may hold millions


def _encoding_of(job: Job) -> Encoding:
    """Return how the records of a job become blocks."""
    format_, options = record_format(job.options), job.options
    schema = format_.schema(options)
    if not job.into_directory:
        return Encoding(schema, format_.ABSENT, file_type_of(job.output))
    most = min(BLOCK_BYTES, options.max_shard_bytes)
    return Encoding(schema, format_.ABSENT, options.file_type.value, for_hub=True, block_bytes=most)


class PartWorker:
    """Does the tasks of one job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._options = job.options
        self._encoding = _encoding_of(job)
        self._qualifying = ThresholdReader(job.options)
        self._known: SideInputs | None = None

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
            case ScanPart():
                result = self._scan_part(task, on_progress)
            case RenderSelection():
                result = self._render_selection(task)
            case CheckPart():
                self._check_part(task)
            case StoreSideInputs():
                self._store_side_inputs(task)
            case DescribeDataset():
                result = describe(task, self._options, self._encoding)
            case _:
                raise TypeError(f"unknown task {type(task).__name__}")
        return cast("_Result", result)  # each task says in its type what it results in

    def _render_part(self, task: RenderPart, told: OnProgress) -> RenderedPart:
        """Render the traces of a part; of a format without pairs.

        Raises:
            InputError: A source or a record cannot be used.
            OutputError: The part could not be written.
        """
        with pause_gc(), self._opened(task.number) as (account, rejects):
            tally = account.tally
            chunks = (chunk for _, chunk in self._chunks(task.part, account, rejects, told))
            tables = self._qualifying.of(chunks, tally, rejects)
            if context := self._context():
                tables = prompted(tables, context, self._options, tally)
            return self._written(task.number, tables, account)

    def _render_selection(self, task: RenderSelection) -> RenderedPart:
        """Render pairs that were chosen among all traces.

        Raises:
            InputError: A record cannot be used, or a source has changed.
            OutputError: The part could not be written.
        """
        with pause_gc():
            return self._written(task.number, self._chosen(task), PartAccount())

    def _scan_part(self, task: ScanPart, told: OnProgress) -> ScannedPart:
        """Return what decides on the choice among all traces.

        Raises:
            InputError: A source or a record cannot be used.
        """
        stored: dict[int, StoredSource] = {}
        rows, places = ColumnBuilder(Projection.CHOICE), list[RecordLocation]()
        eligible = [pl.DataFrame(schema=_SCANNED)]
        with pause_gc(), self._opened(task.number) as (account, rejects):
            for segment, chunk in self._chunks(task.part, account, rejects, told):
                outlines = self._qualifying.outlines(chunk, account.tally, rejects)
                rows.add(outlines.traces)
                places += [
                    RecordLocation(segment.number, chunk.offset + start, end - start)
                    for start, end in outlines.chunk.spans
                ]
                if len(rows) >= _SCANNED_AT_ONCE:
                    eligible.append(self._eligible(rows, places, account.tally))
                    places.clear()
                if segment.number not in stored:
                    spool = self._spool(segment)
                    path = str(spool) if spool and spool.exists() else segment.path
                    stored[segment.number] = StoredSource(segment.path, path, chunk.origin, chunk.eval_set_id)
            if len(rows):
                eligible.append(self._eligible(rows, places, account.tally))
            return ScannedPart(pl.concat(eligible), stored, account)

    def _check_part(self, task: CheckPart) -> None:
        """Decode every trace of a part in full.

        Raises:
            InputError: The first thing that cannot be used.
        """
        decoder = TraceDecoder(projection_of(self._options))
        account, rejects = PartAccount(), RaiseFirst()
        for _, chunk in self._chunks(task.part, account, rejects, lambda *_: None, again=True):
            rejects.records(account.tally, decoder.decode_with_headroom(chunk))

    def _store_side_inputs(self, task: StoreSideInputs) -> None:
        """Read prompts and tools, and write them to the file from which every process has them.

        Raises:
            InputError: A file cannot be used.
            OutputError: The file could not be written.
        """
        side_inputs = load_side_inputs(self._job.eval_sets, self._options)
        with os_errors_reported(self._job.output):
            store_side_inputs(side_inputs, task.path)

    def _context(self) -> SideInputs | None:
        if self._job.side_inputs is None:
            return None
        if self._known is None:
            self._known = open_side_inputs(self._job.side_inputs)
        return self._known

    def _chunks(
        self, part: Part, account: PartAccount, rejects: Rejects, told: OnProgress, *, again: bool = False
    ) -> Iterator[tuple[Segment, Chunk]]:
        """Yield the chunks of a part, each with its segment; `again` if what was kept of them may be but a part."""
        limits = ReadLimits(self._options.max_record_bytes, tolerant=self._options.skips)
        for segment in part:
            rejects.segment = segment
            reading = SourceReader(
                segment, None if again and not is_piped(segment.path) else self._spool(segment), limits
            )
            known = 0
            try:
                for chunk in reading.chunks():
                    yield segment, chunk
                    told(reading.bytes_read - known, len(chunk.spans))
                    known = reading.bytes_read
            except InputError as error:
                rejects.rest(account.tally, error)
            told(reading.bytes_read - known, 0)
            add_lines(account.lines, {segment.number: reading.lines})
            if reading.passed_over:
                account.skipped_files[segment.path] = reading.passed_over

    @contextmanager
    def _opened(self, number: int) -> Iterator[tuple[PartAccount, Rejects]]:
        """Open the account of a part, and what takes the records that cannot be used."""
        if not self._options.skips:
            yield PartAccount(), RaiseFirst()
            return
        path = self._job.parts / f"{number:06d}-rejects"
        with closing(PartRejects(path, self._job.output)) as file:
            yield PartAccount(rejects=path), Quarantine(file)

    def _spool(self, segment: Segment) -> Path | None:
        """Return where a source is kept that must be read twice and cannot be, or only from its beginning."""
        in_pairs = self._options.unit is Unit.PAIR
        return self._job.parts / f"source-{segment.number}" if in_pairs else None

    def _eligible(self, rows: ColumnBuilder, places: Sequence[RecordLocation], tally: Counters) -> pl.DataFrame:
        """Return the rows of a `ScannedPart` for those of some traces that may become part of a pair."""
        where = pl.DataFrame(places, schema=_PLACES, orient="row")
        known = pl.concat([scored(rows), where], how="horizontal")
        kept = known.filter(qualifies(self._options))
        tally.drop(DropReason.BELOW_THRESHOLD, known.height - kept.height)
        if context := self._context():
            kept = context.join(kept)
            kept = kept.filter(prompted_traces(kept, self._options, tally))
        digests = b"".join([case_hash(case, 16) for case in kept.select(CASE).iter_rows()])
        halves = pl.Series(pa.Array.from_buffers(pa.uint64(), 2 * kept.height, [None, pa.py_buffer(digests)]))
        return kept.select(
            *_PLACES, "score", case_high=halves.gather_every(2), case_low=halves.gather_every(2, offset=1)
        )

    def _chosen(self, task: RenderSelection) -> Iterator[Tables]:
        """Yield the traces of pairs, with their prompts, a batch at a time."""
        detail, context = projection_of(self._options), self._context()
        decoder = TraceDecoder(detail)
        for some in _batches(task.places):
            in_files = some.with_row_index("row").sort("source", "offset")
            rows = ColumnBuilder(detail, sort_arguments=self._options.target.sorted_arguments)
            for chunk in read_records(map(RecordLocation._make, in_files.select(*_PLACES).iter_rows()), task.stored):
                decoded = decoder.decode(chunk)
                if decoded.rejected and self._options.skips:  # all that were chosen had been checked
                    raise SourceError(chunk.source, "has changed while it was read")
                raise_first(decoded)
                rows.add(decoded.traces)
            tables = Tables.of(rows.batch()).take(in_files["row"].arg_sort())
            yield Tables(context.join(tables.traces), tables.turns) if context else tables

    def _written(self, number: int, tables: Iterable[Tables], account: PartAccount) -> RenderedPart:
        """Render tables, and write the records to the file of the part."""
        path, seen = self._job.parts / f"{number:06d}", CardStatistics()
        with closing(BlockWriter(path, self._encoding, self._job.output)) as writer:
            for piece in rendered(tables, self._options, account.tally):
                if self._job.into_directory:
                    seen.see(piece.exported_traces())
                    seen.sample = seen.sample or self._sample(piece)
                for split, records in splits_of(piece, self._options):
                    writer.write(split, records)
        return RenderedPart(path, writer.blocks, seen, account)

    def _sample(self, piece: RenderedBatch) -> str:
        first = piece.rendered.records.slice(0, 1)
        return encode(first, self._encoding.schema, self._encoding.absent).decode().rstrip("\n")


def _batches(places: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the places of pairs, as many at a time as fill a batch."""
    start = size = 0
    for row, length in enumerate(places["length"]):
        size += length
        if row % 2 and size >= BATCH_BYTES:
            yield places.slice(start, row + 1 - start)
            start, size = row + 1, 0
    if size:
        yield places.slice(start)
