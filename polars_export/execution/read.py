"""Read traces as tables."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from polars_export.execution.quarantine import raise_first
from polars_export.execution.read_options import read_options
from polars_export.input_options import InputOptions
from polars_export.inputs.decoders import Decoders
from polars_export.inputs.find import find_sources
from polars_export.inputs.reader import SourceReader
from polars_export.inputs.registry import check_input
from polars_export.prompts.side_inputs import load_prompts
from polars_export.sources.find import as_list
from polars_export.sources.segments import Segment, raise_if_all_skipped, size_of
from polars_export.sources.window import CHUNK_BYTES
from polars_export.tables.builder import TableBuilder
from polars_export.tables.projection import Projection
from polars_export.tables.schema import TRACES, TURNS, polars_schema
from polars_export.tables.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    import pyarrow as pa

    from polars_export.inputs.dialect import Match
    from polars_export.inputs.read_options import ReadOptions
    from polars_export.sources.chunk import Chunk
    from polars_export.sources.find import Sources

_BATCH_BYTES = 4 * CHUNK_BYTES
"""Of the sources: tables are cheap to make of many traces, and a source of small files has few in each chunk."""

__all__ = ["Batch", "iter_batches", "read", "read_traces", "read_turns"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive traces as Arrow tables: a row of `traces` is a trace, a row of `turns` is a turn of one of these."""

    traces: pa.Table
    turns: pa.Table


def read(sources: Sources, options: InputOptions | None = None, *, prompts: Sources = ()) -> Tables:
    """Return the traces of some sources as two frames in step, in the order read.

    Args:
        sources: Files, directories, globs or `-` for standard input: one or an iterable.
        options: How they are read. With `on_error` skip, a warning says how many records were skipped; one process
            reads, whatever `workers` says.
        prompts: Eval sets with the prompts of the cases, as in the options; those of an eval store are found without.

    Returns:
        Tables whose `traces` has one row per trace and whose `turns` has one row per turn; the column `trace` joins
        them. See `polars_export.tables.schema` for the columns.

    Raises:
        InputError: A source or a record cannot be used.
    """
    empty = Tables(polars_schema(TRACES, Projection.FULL).to_frame(), polars_schema(TURNS, Projection.FULL).to_frame())
    tables = Tables.concat([empty, *_full_tables(sources, options, prompts)])
    return Tables(tables.traces.rechunk(), tables.turns.rechunk())


def iter_batches(sources: Sources, options: InputOptions | None = None, *, prompts: Sources = ()) -> Iterator[Batch]:
    """Yield the tables of some sources a few megabytes at a time, in bounded memory; see `read`.

    Yields:
        Batches whose `traces` has one row per trace and whose `turns` has one row per turn.

    Raises:
        InputError: A source or a record cannot be used.
    """
    for tables in _full_tables(sources, options, prompts):
        yield Batch(tables.traces.to_arrow(), tables.turns.to_arrow())


def read_traces(sources: Sources, options: InputOptions | None = None, *, prompts: Sources = ()) -> pl.DataFrame:
    """Return one row per trace of some sources, in the order read; see `read`.

    Raises:
        InputError: A source or a record cannot be used.
    """
    return read(sources, options, prompts=prompts).traces


def read_turns(sources: Sources, options: InputOptions | None = None, *, prompts: Sources = ()) -> pl.DataFrame:
    """Return one row per turn of some sources, in the order read; see `read`.

    Raises:
        InputError: A source or a record cannot be used.
    """
    return read(sources, options, prompts=prompts).turns


def _full_tables(sources: Sources, options: InputOptions | None, prompts: Sources) -> Iterator[Tables]:
    options = InputOptions.or_default(options)
    check_input(options.input)
    decoders, builder = Decoders(Projection.FULL), TableBuilder(Projection.FULL)
    sources = as_list(sources)
    side_inputs = load_prompts(sources, [*options.prompts, *as_list(prompts, "prompts")], options.tools)
    traces_read = skipped = size = 0

    def build() -> Tables:
        tables = builder.build(first_trace=traces_read)
        return side_inputs.attach(tables) if side_inputs else tables

    for match, chunk in _chunks(sources, read_options(options)):
        decoded = decoders.of(match).decode(chunk)
        if not options.skips:
            raise_first(decoded)
        skipped += len(decoded.rejected)
        builder.add(decoded.columns)
        size += len(chunk.data)
        if size >= _BATCH_BYTES:
            yield (tables := build())
            traces_read += len(tables)
            size = 0
    if len(builder):
        yield (tables := build())
        traces_read += len(tables)
    if skipped:
        warnings.warn(f"{skipped} invalid records were skipped; {traces_read} traces were read", stacklevel=4)


def _chunks(sources: Sources, options: ReadOptions) -> Iterator[tuple[Match, Chunk]]:
    found = find_sources(sources)
    skipped: dict[str, str] = {}
    for number, (path, searched) in enumerate(found):
        reader = SourceReader(Segment(number, path, searched, size=size_of(path)), options=options)
        yield from reader.chunks()
        if reader.skip_reason is not None:
            skipped[path] = reader.skip_reason
    raise_if_all_skipped(skipped, found)
