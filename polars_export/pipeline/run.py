"""The steps put together, from sources to written records."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from polars_export.decode import TraceDecoder
from polars_export.flatten import Batch, flatten
from polars_export.formats import record_format
from polars_export.options import ExportOptions, Target
from polars_export.pipeline.render import pieces
from polars_export.pipeline.repository import Repository
from polars_export.pipeline.tally import Tally
from polars_export.prompting import Context
from polars_export.report import ExportReport
from polars_export.schema import TRACES, TURNS, Detail, polars_schema
from polars_export.sources import (
    PROMPTS,
    Reading,
    find_sources,
    listed,
    objects_chunk,
    read_prompts,
    read_tools,
    sets_of_stores,
)
from polars_export.tables import Tables
from polars_export.writers import check_output, encode, open_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from polars_export.chunk import Chunk
    from polars_export.sources import Sources

__all__ = ["Watch", "export", "export_objects", "iter_batches", "read_traces", "read_turns"]

Watch: TypeAlias = "Callable[[int, int | None, int], None]"
"""Is told, after every chunk, the bytes read, the bytes in all (None if not known) and the traces read."""

_OBJECTS_AT_ONCE = 1_000


def export(
    sources: Sources,
    output: str | os.PathLike[str],
    options: ExportOptions | None = None,
    *,
    watch: Watch | None = None,
) -> ExportReport:
    """Export the traces of some sources to a file or a dataset repository.

    Args:
        sources: Files, directories, globs or `-` for standard input: one or an iterable.
        output: A file whose name ends in `.jsonl`, `.jsonl.gz`, `.jsonl.zst` or `.parquet`; `-` for JSON lines on
            standard output; or a directory, which becomes a dataset repository. What is there is replaced when the
            export is complete (a directory only with the option `overwrite`), and left alone if it fails.
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
    sources = listed(sources)
    found = find_sources(sources)
    into_directory = check_output(output, [source.path for source in found], overwrite=options.overwrite)
    reading, tally = Reading(found), Tally()
    every = pieces(_watched(reading, tally, watch), _context(sources, options), options, tally)

    def report() -> ExportReport:
        return ExportReport(
            output=output,
            records=tally.records,
            traces_read=tally.traces_read,
            exported=tally.exported,
            left_out=dict(tally.left_out),
            not_carried=dict(tally.not_carried),
            passed_over=reading.passed_over,
            bytes_read=reading.bytes_read,
            seconds=time.monotonic() - began,
        )

    if into_directory:
        repository = Repository(output, options)
        with repository.opened as dataset:
            for piece in every:
                repository.write(dataset, piece)
            repository.describe(dataset, reading.sizes(), report())
        return report()
    format_ = record_format(options)
    with open_writer(output, format_.schema(options), format_.ABSENT) as writer:
        for piece in every:
            writer.write(piece.rendered.records)
    return report()


def export_objects(
    traces: Iterable[Mapping[str, Any]], options: ExportOptions, eval_set_id: str | None = None
) -> bytes:
    """Export case results or scored traces that are Python objects, as JSON lines.

    Raises:
        SerializationError: A trace has no JSON form.
        BadRecordError: A trace is not what it should be.
        NothingToExportError: No trace is left to export.
    """
    tally = Tally()
    remaining = iter(traces)

    def chunks() -> Iterator[Chunk]:
        while some := list(islice(remaining, _OBJECTS_AT_ONCE)):
            yield objects_chunk(some, tally.traces_read, eval_set_id)

    context = _context([], options)
    format_ = record_format(options)
    every = pieces(chunks(), context, options, tally)
    return b"".join(encode(piece.rendered.records, format_.schema(options), format_.ABSENT) for piece in every)


def iter_batches(sources: Sources, *, prompts: Sources = ()) -> Iterator[Batch]:
    """Yield the tables of some sources a few megabytes at a time, in bounded memory.

    Yields:
        Batches whose `traces` has one row per trace and whose `turns` has one row per turn; see `polars_export.schema`.

    Raises:
        InputError: A source or a record cannot be used.
    """
    for tables in _full_tables(sources, prompts):
        yield Batch(tables.traces.to_arrow(), tables.turns.to_arrow())


def read_traces(sources: Sources, *, prompts: Sources = ()) -> pl.DataFrame:
    """Return one row per trace of some sources, in the order read; see `polars_export.schema.TRACES`.

    With `prompts`, or from an eval store, the rows have the system prompts of their cases.

    Raises:
        InputError: A source or a record cannot be used.
    """
    empty = pl.DataFrame(schema=polars_schema(TRACES, Detail.FULL))
    return pl.concat([empty, *(tables.traces for tables in _full_tables(sources, prompts))], rechunk=True)


def read_turns(sources: Sources, *, prompts: Sources = ()) -> pl.DataFrame:
    """Return one row per turn of some sources, in the order read; see `polars_export.schema.TURNS`.

    The column `trace` joins them to the rows of `read_traces`. With `prompts`, or from an eval store, the first turn of
    a trace has the user's messages of its case.

    Raises:
        InputError: A source or a record cannot be used.
    """
    empty = pl.DataFrame(schema=polars_schema(TURNS, Detail.FULL))
    return pl.concat([empty, *(tables.turns for tables in _full_tables(sources, prompts))], rechunk=True)


def _full_tables(sources: Sources, prompts: Sources) -> Iterator[Tables]:
    decoder = TraceDecoder(Detail.FULL)
    columns = list(polars_schema(TRACES, Detail.FULL))
    sources = listed(sources)
    context = _known_prompts(sources, prompts)
    traces_read = 0
    for chunk in Reading(find_sources(sources)).chunks():
        tables = Tables.of(flatten(decoder.decode(chunk), traces_read))
        traces_read += len(tables)
        if context:
            tables = context.spread(tables)
        yield Tables(tables.traces.select(columns), tables.turns)


def _watched(reading: Reading, tally: Tally, watch: Watch | None) -> Iterator[Chunk]:
    for chunk in reading.chunks():
        yield chunk
        if watch:
            watch(reading.bytes_read, reading.bytes_total, tally.traces_read)


def _context(sources: Sources, options: ExportOptions) -> Context | None:
    """Read what the target's records need to know of the cases; nothing for the reference."""
    if options.target is Target.REFERENCE:
        return None
    tools = read_tools(options.tools) if options.tools else None
    known = _known_prompts(sources, options.prompts) or Context(pl.DataFrame(schema=PROMPTS))
    return replace(known, tools=tools)


def _known_prompts(sources: Sources, prompts: Sources) -> Context | None:
    """Read the eval sets given, else those of the eval stores among the sources."""
    given = listed(prompts) or sets_of_stores(sources)
    return Context(read_prompts(given)) if given else None
