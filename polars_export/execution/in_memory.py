"""Export traces that lie in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from polars_export.choices import FileType
from polars_export.errors import OptionError
from polars_export.execution.quarantine import RaiseFirst
from polars_export.execution.table_parts import FRAMES
from polars_export.formats import record_format
from polars_export.pipeline.counters import Counters
from polars_export.pipeline.qualifying_tables import QualifyingTables
from polars_export.pipeline.render import keep_prompted, render_batch
from polars_export.pipeline.threshold_reader import ThresholdReader
from polars_export.process import pause_gc
from polars_export.prompts.side_inputs import load_side_inputs
from polars_export.selection.case_key import with_case_key
from polars_export.selection.decide import select_traces
from polars_export.selection.rules import rules_of
from polars_export.tables.frames import conform_tables
from polars_export.tables.tables import Tables
from polars_export.writers.jsonlines import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polars_export.inputs.dialect import Match
    from polars_export.options import ExportOptions
    from polars_export.sources.chunk import Chunk

__all__ = ["export_in_memory"]

_TRACES_AT_ONCE = 1_000


def export_in_memory(traces: Iterable[tuple[Match, Chunk]] | Tables, options: ExportOptions) -> bytes:
    """Export traces that lie in memory as JSON lines.

    Args:
        traces: Tables, or chunks, each with what it was recognised as.
        options: What to export.

    Raises:
        BadRecordError: A trace is not what it should be.
        MissingPromptError: The target's records need prompts, and cases have none.
        NothingToExportError: No trace is left to export.
        OptionError: Invalid traces are to be skipped, or the target has no records for the kind of input.
    """
    if options.skips:
        raise OptionError("on_error", "skip is for exports of files: it sets aside what cannot be used")
    options.check_file_output(is_file=False)
    options = replace(options, file_type=FileType.JSONL)
    counters, format_ = Counters(), record_format(options)
    schema = format_.schema(options)
    with pause_gc():
        if isinstance(traces, Tables):
            read = _read_tables(traces, options, counters)
        else:
            read = _read(traces, options, counters)
        batches = _selected(_prompted(read, options, counters), options, counters)
        text = bytearray()
        for tables in batches:
            batch = render_batch(tables, options)
            counters.add(batch.counters)
            text += encode(batch.rendered.records, schema, format_.ABSENT)
    counters.raise_if_empty(options)
    return bytes(text)


def _read(chunks: Iterable[tuple[Match, Chunk]], options: ExportOptions, counters: Counters) -> Iterator[Tables]:
    """Yield the traces of chunks that stay by rules which look at each of them."""
    for batch in ThresholdReader(options).read(chunks, RaiseFirst()):
        counters.add(batch.counters)
        if batch.tables:
            yield batch.tables


def _read_tables(tables: Tables, options: ExportOptions, counters: Counters) -> Iterator[Tables]:
    """Yield the traces of tables that stay by rules which look at each of them."""
    tables, qualifying = conform_tables(tables), QualifyingTables(options)
    reasons = qualifying.reasons(tables.traces, counters, FRAMES)
    stay = tables.filter(reasons.is_null())
    for start in range(0, len(stay), _TRACES_AT_ONCE):
        count = min(_TRACES_AT_ONCE, len(stay) - start)
        rows = pl.int_range(start, start + count, dtype=pl.UInt32, eager=True)
        yield qualifying.as_records_need(stay.take(rows))


def _prompted(batches: Iterable[Tables], options: ExportOptions, counters: Counters) -> Iterator[Tables]:
    """Yield the traces that make a conversation, with their prompts."""
    prompted = rules_of(options).prompted
    side_inputs = load_side_inputs(options.prompts, options) if prompted else None
    for batch in batches:
        tables = batch
        if side_inputs:
            tables, dropped = keep_prompted(side_inputs.attach(batch), prompted, options)
            counters.add(dropped)
        if tables and not counters.missing:
            yield tables


def _selected(batches: Iterable[Tables], options: ExportOptions, counters: Counters) -> Iterator[Tables]:
    """Yield the traces that are selected among all, where a rule looks across them."""
    rules = rules_of(options).across
    if not rules:
        yield from batches
        return
    held = list(batches)
    if not held:
        return
    tables = Tables(pl.concat([part.traces for part in held]), pl.concat([part.turns for part in held]))
    rows, dropped = select_traces(with_case_key(tables.traces), rules)
    counters.dropped.update(dropped)
    if rows.height:
        yield tables.take(rows["row"])
