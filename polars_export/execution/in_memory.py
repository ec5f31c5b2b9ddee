"""Export traces that lie in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from polars_export.choices import FileType
from polars_export.errors import OptionError
from polars_export.execution.quarantine import RaiseFirst
from polars_export.formats import record_format
from polars_export.pipeline.counters import Counters
from polars_export.pipeline.render import keep_prompted, render_batch
from polars_export.pipeline.threshold_reader import ThresholdReader
from polars_export.process import pause_gc
from polars_export.prompts.side_inputs import load_side_inputs
from polars_export.selection.case_key import with_case_key
from polars_export.selection.decide import select_traces
from polars_export.selection.rules import rules_of
from polars_export.tables.tables import Tables
from polars_export.writers.jsonlines import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polars_export.inputs.dialect import Match
    from polars_export.options import ExportOptions
    from polars_export.sources.chunk import Chunk

__all__ = ["export_in_memory"]


def export_in_memory(chunks: Iterable[tuple[Match, Chunk]], options: ExportOptions) -> bytes:
    """Export the traces of chunks that lie in memory, each with what it was recognised as, as JSON lines.

    Raises:
        BadRecordError: A trace is not what it should be.
        MissingPromptError: The target's records need prompts, and cases have none.
        NothingToExportError: No trace is left to export.
        OptionError: Invalid traces are to be skipped.
    """
    if options.skips:
        raise OptionError("on_error", "skip is for exports of files: it sets aside what cannot be used")
    options.check_file_output(is_file=False)
    options = replace(options, file_type=FileType.JSONL)
    counters, format_ = Counters(), record_format(options)
    schema = format_.schema(options)
    with pause_gc():
        batches = _selected(_qualifying(chunks, options, counters), options, counters)
        text = bytearray()
        for tables in batches:
            batch = render_batch(tables, options)
            counters.add(batch.counters)
            text += encode(batch.rendered.records, schema, format_.ABSENT)
    counters.raise_if_empty(options)
    return bytes(text)


def _qualifying(chunks: Iterable[tuple[Match, Chunk]], options: ExportOptions, counters: Counters) -> Iterator[Tables]:
    """Yield the traces that stay by rules which look at each of them, with their prompts."""
    prompted = rules_of(options).prompted
    side_inputs = load_side_inputs(options.prompts, options) if prompted else None
    for batch in ThresholdReader(options).read(chunks, RaiseFirst()):
        counters.add(batch.counters)
        tables = batch.tables
        if tables and side_inputs:
            tables, dropped = keep_prompted(side_inputs.attach(tables), prompted, options)
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
    tables = Tables.concat(held)
    rows, dropped = select_traces(with_case_key(tables.traces), rules)
    counters.dropped.update(dropped)
    if rows.height:
        yield tables.take(rows["row"])
