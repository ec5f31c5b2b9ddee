"""Read traces as tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from polars_export.execution.quarantine import raise_first
from polars_export.execution.table_parts import find
from polars_export.inputs.decoders import Decoders
from polars_export.inputs.reader import SourceReader
from polars_export.prompts.side_inputs import load_prompts
from polars_export.sources.find import as_list
from polars_export.sources.segments import Segment, raise_if_all_skipped, size_of
from polars_export.table_files.reader import TableReader
from polars_export.tables.builder import TableBuilder
from polars_export.tables.projection import Projection
from polars_export.tables.schema import TRACES, TURNS, polars_schema
from polars_export.tables.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    import pyarrow as pa

    from polars_export.execution.table_parts import FoundSources
    from polars_export.sources.find import Sources

__all__ = ["Batch", "iter_batches", "read", "read_traces", "read_turns"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive traces as Arrow tables: a row of `traces` is a trace, a row of `turns` is a turn of one of these."""

    traces: pa.Table
    turns: pa.Table


def read(sources: Sources, *, prompts: Sources = ()) -> Tables:
    """Return the traces of some sources as two frames in step, in the order read.

    Args:
        sources: Files, directories (stored tables among them), globs or `-` for standard input: one or an iterable.
        prompts: Eval sets with the prompts of the cases; those of an eval store are found without.

    Returns:
        Tables whose `traces` has one row per trace and whose `turns` has one row per turn; the column `trace` joins
        them. See `polars_export.tables.schema` for the columns.

    Raises:
        InputError: A source or a record cannot be used.
    """
    empty = Tables(polars_schema(TRACES, Projection.FULL).to_frame(), polars_schema(TURNS, Projection.FULL).to_frame())
    tables = Tables.concat([empty, *_full_tables(sources, prompts)])
    return Tables(tables.traces.rechunk(), tables.turns.rechunk())


def iter_batches(sources: Sources, *, prompts: Sources = ()) -> Iterator[Batch]:
    """Yield the tables of some sources a few megabytes at a time, in bounded memory; see `read`.

    Yields:
        Batches whose `traces` has one row per trace and whose `turns` has one row per turn.

    Raises:
        InputError: A source or a record cannot be used.
    """
    for tables in _full_tables(sources, prompts):
        yield Batch(tables.traces.to_arrow(), tables.turns.to_arrow())


def read_traces(sources: Sources, *, prompts: Sources = ()) -> pl.DataFrame:
    """Return one row per trace of some sources, in the order read; see `read`.

    Raises:
        InputError: A source or a record cannot be used.
    """
    return read(sources, prompts=prompts).traces


def read_turns(sources: Sources, *, prompts: Sources = ()) -> pl.DataFrame:
    """Return one row per turn of some sources, in the order read; see `read`.

    Raises:
        InputError: A source or a record cannot be used.
    """
    return read(sources, prompts=prompts).turns


def _full_tables(sources: Sources, prompts: Sources) -> Iterator[Tables]:
    sources = as_list(sources)
    side_inputs = load_prompts(sources, prompts)
    traces_read = 0
    for tables in _tables_of(find(sources)):
        numbered = tables.numbered(traces_read)
        traces_read += len(numbered)
        yield side_inputs.attach(numbered) if side_inputs else numbered


def _tables_of(found: FoundSources) -> Iterator[Tables]:
    """Yield the tables of sources in order; those of files are numbered from 0, a batch each."""
    decoders, builder = Decoders(Projection.FULL), TableBuilder(Projection.FULL)
    skipped: dict[str, str] = {}
    of_tables = {path for tables in found.tables.values() for path in tables.paths}
    for number, (path, searched) in enumerate(found.files):
        if number in found.tables:
            reader = TableReader(found.tables[number])
            yield from (reader.tables(group, Projection.FULL) for group in reader.groups())
        if path in of_tables:
            continue
        source = SourceReader(Segment(number, path, searched, size=size_of(path)))
        for match, chunk in source.chunks():
            decoded = decoders.of(match).decode(chunk)
            raise_first(decoded)
            builder.add(decoded.columns)
            yield builder.build()
        if source.skip_reason:
            skipped[path] = source.skip_reason
    raise_if_all_skipped(skipped, found.files)
