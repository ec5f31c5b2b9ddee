"""The steps put together, from sources to written records. The only place that collects."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from polars_export.decode import TraceDecoder
from polars_export.errors import NothingToExportError
from polars_export.flatten import Batch, flatten
from polars_export.formats import record_format
from polars_export.options import ExportOptions, Target, TrainingFormat
from polars_export.report import ExportReport, LeftOut
from polars_export.schema import TRACES, TURNS, Detail, polars_schema
from polars_export.scoring import qualifies
from polars_export.selection import candidates, pairs
from polars_export.sources import Reading, find_sources, objects_chunk
from polars_export.tables import Tables
from polars_export.writers import check_output, encode, open_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pyarrow as pa

    from polars_export.chunk import Chunk
    from polars_export.sources import Sources

__all__ = ["Watch", "export", "export_objects", "iter_batches", "read_traces", "read_turns"]

Watch: TypeAlias = "Callable[[int, int | None, int], None]"
"""Is told, after every chunk, the bytes read, the bytes in all (None if not known) and the traces read."""

_OBJECTS_AT_ONCE = 1_000
_PAIRS_AT_ONCE = 500  # bounds the memory for rendering: two traces each
_PRUNE_AT_LEAST = 10_000  # traces; fewer are not worth the pass


@dataclass(slots=True)
class _Tally:
    """Counts that grow while batches pass."""

    traces_read: int = 0
    exported: int = 0
    records: int = 0
    left_out: Counter[LeftOut] = field(default_factory=Counter)
    not_carried: Counter[str] = field(default_factory=Counter)


def export(
    sources: Sources,
    output: str | os.PathLike[str],
    options: ExportOptions | None = None,
    *,
    watch: Watch | None = None,
) -> ExportReport:
    """Export the traces of some sources to a file.

    Args:
        sources: Files, directories, globs or `-` for standard input: one or an iterable.
        output: A name that ends in `.jsonl`, `.jsonl.gz`, `.jsonl.zst` or `.parquet`, or `-` for JSON lines on standard
            output. A file of that name is replaced when the export is complete, and left alone if it fails.
        options: What to export.
        watch: Is told of the progress.

    Raises:
        InputError: A source or a record cannot be used.
        NothingToExportError: No trace is left to write; no file is made or touched.
        OutputError: The output could not be written.
        OptionError: The output has no ending that is known.
    """
    began = time.monotonic()
    options = options or ExportOptions()
    output = os.fspath(output)
    found = find_sources(sources)
    check_output(output, [source.path for source in found])
    reading = Reading(found)
    tally = _Tally()
    records = _records(_watched(reading, tally, watch), options, tally)
    first = _first(records, options, tally)
    format_ = record_format(options)
    with open_writer(output, format_.schema(options), format_.ABSENT) as writer:
        writer.write(first)
        for some in records:
            writer.write(some)
    return ExportReport(
        output=output,
        records=tally.records,
        traces_read=tally.traces_read,
        exported=tally.exported,
        left_out={reason: count for reason, count in tally.left_out.items() if count},
        not_carried=dict(tally.not_carried),
        passed_over=reading.passed_over,
        bytes_read=reading.bytes_read,
        seconds=time.monotonic() - began,
    )


def export_objects(
    traces: Iterable[Mapping[str, Any]], options: ExportOptions, eval_set_id: str | None = None
) -> bytes:
    """Export case results or scored traces that are Python objects, as JSON lines.

    Raises:
        SerializationError: A trace has no JSON form.
        BadRecordError: A trace is not what it should be.
        NothingToExportError: No trace is left to export.
    """
    tally = _Tally()
    remaining = iter(traces)

    def chunks() -> Iterator[Chunk]:
        while some := list(islice(remaining, _OBJECTS_AT_ONCE)):
            yield objects_chunk(some, tally.traces_read, eval_set_id)

    records = _records(chunks(), options, tally)
    absent = record_format(options).ABSENT
    return encode(_first(records, options, tally), absent) + b"".join(encode(some, absent) for some in records)


def iter_batches(sources: Sources) -> Iterator[Batch]:
    """Yield the tables of some sources a few megabytes at a time, in bounded memory.

    Yields:
        Batches whose `traces` has one row per trace and whose `turns` has one row per turn; see `polars_export.schema`.

    Raises:
        InputError: A source or a record cannot be used.
    """
    for tables in _full_tables(sources):
        yield Batch(tables.traces.to_arrow(), tables.turns.to_arrow())


def read_traces(sources: Sources) -> pl.DataFrame:
    """Return one row per trace of some sources, in the order read; see `polars_export.schema.TRACES`.

    Raises:
        InputError: A source or a record cannot be used.
    """
    empty = pl.DataFrame(schema=polars_schema(TRACES, Detail.FULL))
    return pl.concat([empty, *(tables.traces for tables in _full_tables(sources))], rechunk=True)


def read_turns(sources: Sources) -> pl.DataFrame:
    """Return one row per turn of some sources, in the order read; see `polars_export.schema.TURNS`.

    The column `trace` joins them to the rows of `read_traces`.

    Raises:
        InputError: A source or a record cannot be used.
    """
    empty = pl.DataFrame(schema=polars_schema(TURNS, Detail.FULL))
    return pl.concat([empty, *(tables.turns for tables in _full_tables(sources))], rechunk=True)


def _full_tables(sources: Sources) -> Iterator[Tables]:
    decoder = TraceDecoder(Detail.FULL)
    columns = list(polars_schema(TRACES, Detail.FULL))
    traces_read = 0
    for chunk in Reading(find_sources(sources)).chunks():
        tables = Tables.of(flatten(decoder.decode(chunk), traces_read))
        traces_read += len(tables)
        yield Tables(tables.traces.select(columns), tables.turns)


def _watched(reading: Reading, tally: _Tally, watch: Watch | None) -> Iterator[Chunk]:
    for chunk in reading.chunks():
        yield chunk
        if watch:
            watch(reading.bytes_read, reading.bytes_total, tally.traces_read)


def _records(chunks: Iterable[Chunk], options: ExportOptions, tally: _Tally) -> Iterator[pa.Table]:
    """Yield the records of some chunks, some at a time."""
    selected = _qualifying(chunks, options, tally)
    if options.format is TrainingFormat.DPO:
        selected = _paired(selected, tally)
    format_ = record_format(options)
    for tables in selected:
        records = format_.render(tables, options)
        tally.exported += len(tables)
        tally.records += records.num_rows
        tally.not_carried.update(_not_carried(tables, options))
        yield records


def _first(records: Iterator[pa.Table], options: ExportOptions, tally: _Tally) -> pa.Table:
    for some in records:
        return some
    raise NothingToExportError(
        options.quality_threshold, tally.traces_read, {str(reason): count for reason, count in tally.left_out.items()}
    )


def _qualifying(chunks: Iterable[Chunk], options: ExportOptions, tally: _Tally) -> Iterator[Tables]:
    """Yield the traces that reach the quality threshold, chunk by chunk."""
    decoder = TraceDecoder(Detail.RECORDS)
    as_reference = options.target is Target.REFERENCE
    for chunk in chunks:
        tables = Tables.of(flatten(decoder.decode(chunk), tally.traces_read, reference_arguments=as_reference))
        kept = tables.filter(tables.traces.select(qualifies(options)).to_series())
        tally.traces_read += len(tables)
        tally.left_out[LeftOut.BELOW_THRESHOLD] += len(tables) - len(kept)
        if len(kept):
            yield kept


def _paired(qualifying: Iterable[Tables], tally: _Tally) -> Iterator[Tables]:
    """Yield the chosen and the rejected trace of every pair, one behind the other."""
    held: list[Tables] = []
    new, limit = 0, _PRUNE_AT_LEAST
    for tables in qualifying:
        held.append(Tables(tables.traces.with_columns(first_seen="trace"), tables.turns))
        new += len(tables)
        if new >= limit:  # as many new ones as were kept: the work stays proportional to the input
            held = [_pruned(held, tally)]
            new, limit = 0, max(_PRUNE_AT_LEAST, len(held[0]))
    if not held:
        return
    last = _pruned(held, tally)
    marked = candidates(last.traces.lazy()).collect()
    tally.left_out[LeftOut.SINGLE_RUN] += marked.filter(pl.col("runs") == 1).height
    sides = pairs(marked.lazy()).collect()
    for some in sides.iter_slices(_PAIRS_AT_ONCE):
        yield last.take(some.select(pl.concat_list("chosen", "rejected").explode()).to_series())


def _pruned(held: list[Tables], tally: _Tally) -> Tables:
    """Drop the traces that can be neither chosen nor rejected, whatever follows."""
    every = Tables.concat(held)
    marked = candidates(every.traces.lazy()).collect()
    kept = Tables(marked.select(every.traces.columns), every.turns).filter(marked["best"] | marked["worst"])
    tally.left_out[LeftOut.NOT_SELECTED] += len(every) - len(kept)
    return kept


def _not_carried(tables: Tables, options: ExportOptions) -> dict[str, int]:
    """Count what the reference's records have no place for."""
    counted = {
        "reasoning blocks": pl.col("thinking_blocks"),
        "images": pl.col("image_blocks"),
        "extensions": pl.col("extension_blocks"),
        "unknown blocks": pl.col("unknown_blocks"),
        "tool results": pl.col("tool_result_count"),
    }
    if options.format is TrainingFormat.SHAREGPT:
        counted["tool calls"] = pl.col("tool_calls").list.len()
    sums = tables.turns.select(**{name: column.sum() for name, column in counted.items()})
    return {name: count for name, count in sums.row(0, named=True).items() if count}
