"""Read traces as tables."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from polars_export.execution.quarantine import raise_first
from polars_export.execution.read_options import read_options
from polars_export.execution.table_parts import find
from polars_export.input_options import InputOptions
from polars_export.inputs.decoders import Decoders
from polars_export.inputs.reader import SourceReader
from polars_export.inputs.registry import check_input
from polars_export.prompts.side_inputs import load_prompts
from polars_export.sources.find import as_list
from polars_export.sources.segments import Segment, raise_if_all_skipped, size_of
from polars_export.sources.window import CHUNK_BYTES
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
        sources: Files, directories (stored tables among them), globs or `-` for standard input: one or an iterable.
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
    sources = as_list(sources)
    side_inputs = load_prompts(sources, [*options.prompts, *as_list(prompts, "prompts")], options.tools)
    traces_read = 0
    for tables in _tables_of(find(sources), options):
        numbered = tables.numbered(traces_read)
        traces_read += len(numbered)
        yield side_inputs.attach(numbered) if side_inputs else numbered


def _tables_of(found: FoundSources, options: InputOptions) -> Iterator[Tables]:
    """Yield the tables of sources in order; those of files are numbered from 0 in each batch."""
    files = _FileTables(options)
    skipped: dict[str, str] = {}
    of_tables = {path for tables in found.tables.values() for path in tables.paths}
    for number, (path, searched) in enumerate(found.files):
        if number in found.tables:
            yield from files.rest()
            reader = TableReader(found.tables[number])
            yield from (reader.tables(group, Projection.FULL) for group in reader.groups())
        if path in of_tables:
            continue
        source = SourceReader(Segment(number, path, searched, size=size_of(path)), options=read_options(options))
        yield from files.read(source)
        if source.skip_reason is not None:
            skipped[path] = source.skip_reason
    yield from files.rest()
    if files.skipped:
        warnings.warn(f"{files.skipped} invalid records were skipped", stacklevel=5)
    raise_if_all_skipped(skipped, found.files)


class _FileTables:
    """Makes tables of the traces of files: tables are cheap to make of many, and a small file has few.

    Attributes:
        skipped: How many invalid records were skipped.
    """

    def __init__(self, options: InputOptions) -> None:
        self._skips = options.skips
        self._decoders, self._builder = Decoders(Projection.FULL), TableBuilder(Projection.FULL)
        self._size = 0
        self.skipped = 0

    def read(self, source: SourceReader) -> Iterator[Tables]:
        """Yield tables while a file is read; what is too little for one stands in the next, or in `rest`."""
        for match, chunk in source.chunks():
            decoded = self._decoders.of(match).decode(chunk)
            if not self._skips:
                raise_first(decoded)
            self.skipped += len(decoded.rejected)
            self._builder.add(decoded.columns)
            self._size += len(chunk.data)
            if self._size >= _BATCH_BYTES:
                yield from self.rest()

    def rest(self) -> Iterator[Tables]:
        """Yield what is left."""
        if len(self._builder):
            yield self._builder.build()
        self._size = 0
