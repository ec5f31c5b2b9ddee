"""The traces of some sources as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from polars_export.execution.quarantine import raise_first
from polars_export.inputs.eval_results.decoder import TraceDecoder
from polars_export.inputs.eval_results.flatten import Batch, flatten
from polars_export.inputs.find import find_sources
from polars_export.inputs.reader import SourceReader
from polars_export.prompts.side_inputs import load_prompts
from polars_export.sources.find import as_list
from polars_export.sources.segments import Segment, raise_if_all_skipped, size_of
from polars_export.tables.projection import Projection
from polars_export.tables.schema import TRACES, TURNS, polars_schema
from polars_export.tables.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polars_export.sources.chunk import Chunk
    from polars_export.sources.find import Sources

__all__ = ["iter_batches", "read_traces", "read_turns"]


def iter_batches(sources: Sources, *, prompts: Sources = ()) -> Iterator[Batch]:
    """Yield the tables of some sources a few megabytes at a time, in bounded memory.

    Yields:
        Batches whose `traces` has one row per trace and whose `turns` has one row per turn; see `polars_export.tables.schema`.

    Raises:
        InputError: A source or a record cannot be used.
    """
    for tables in _full_tables(sources, prompts):
        yield Batch(tables.traces.to_arrow(), tables.turns.to_arrow())


def read_traces(sources: Sources, *, prompts: Sources = ()) -> pl.DataFrame:
    """Return one row per trace of some sources, in the order read; see `polars_export.tables.schema.TRACES`.

    With `prompts`, or from an eval store, the rows have the system prompts of their cases.

    Raises:
        InputError: A source or a record cannot be used.
    """
    empty = pl.DataFrame(schema=polars_schema(TRACES, Projection.FULL))
    return pl.concat([empty, *(tables.traces for tables in _full_tables(sources, prompts))], rechunk=True)


def read_turns(sources: Sources, *, prompts: Sources = ()) -> pl.DataFrame:
    """Return one row per turn of some sources, in the order read; see `polars_export.tables.schema.TURNS`.

    The column `trace` joins them to the rows of `read_traces`. With `prompts`, or from an eval store, the first turn of
    a trace has the user's messages of its case.

    Raises:
        InputError: A source or a record cannot be used.
    """
    empty = pl.DataFrame(schema=polars_schema(TURNS, Projection.FULL))
    return pl.concat([empty, *(tables.turns for tables in _full_tables(sources, prompts))], rechunk=True)


def _full_tables(sources: Sources, prompts: Sources) -> Iterator[Tables]:
    decoder = TraceDecoder(Projection.FULL)
    columns = list(polars_schema(TRACES, Projection.FULL))
    sources = as_list(sources)
    context = load_prompts(sources, prompts)
    traces_read = 0
    for chunk in _chunks(sources):
        decoded = decoder.decode(chunk)
        raise_first(decoded)
        tables = Tables.of(flatten(decoded.traces, Projection.FULL, first_trace=traces_read, chunk=chunk))
        traces_read += len(tables)
        if context:
            tables = context.attach_prompts(tables)
        yield Tables(tables.traces.select(columns), tables.turns)


def _chunks(sources: Sources) -> Iterator[Chunk]:
    found = find_sources(sources)
    passed_over: dict[str, str] = {}
    for number, (path, searched) in enumerate(found):
        reading = SourceReader(Segment(number, path, searched, size=size_of(path)))
        yield from reading.chunks()
        if reading.passed_over:
            passed_over[path] = reading.passed_over
    raise_if_all_skipped(passed_over, found)
