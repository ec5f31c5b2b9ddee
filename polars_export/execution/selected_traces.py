"""Read selected traces again, from where they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from polars_export.errors import SourceError
from polars_export.execution.part_scanner import LOCATION
from polars_export.execution.quarantine import raise_first
from polars_export.execution.tasks import StoredTables
from polars_export.pipeline import threshold_reader
from polars_export.sources.random_access import RecordLocation, read_records
from polars_export.tables.builder import TableBuilder
from polars_export.tables.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polars_export.execution.table_reader import TablePartReader
    from polars_export.execution.tasks import RenderSelection, StoredInput
    from polars_export.inputs.decoders import Decoders

__all__ = ["read_selected"]


def read_selected(
    task: RenderSelection, decoders: Decoders, tables: TablePartReader, *, are_checked: bool
) -> Iterator[Tables]:
    """Yield selected traces in the order of their records, a batch at a time.

    Where a dataset is split by prompt, `traces` has the column `in_test` too.

    Args:
        task: Says which.
        decoders: Decode them.
        tables: Reads those of stored tables.
        are_checked: Whether all of them were decoded before, so that one that is invalid now has changed.

    Raises:
        BadRecordError: A record is invalid.
        SourceError: A source has changed.
    """
    for batch in _batches(task.traces):
        in_files = batch.with_row_index("row").sort("source", "offset", "part")
        parts = []
        for (number,), of_source in in_files.group_by("source", maintain_order=True):
            source = task.stored[number]
            if isinstance(source, StoredTables):
                parts.append(tables.rows(source, of_source["offset"]))
            else:
                parts.append(_decoded(of_source, source, decoders, are_checked=are_checked))
        joined = Tables(pl.concat([part.traces for part in parts]), pl.concat([part.turns for part in parts]))
        taken = joined.take(in_files["row"].arg_sort())
        if "in_test" in batch.columns:
            taken = Tables(taken.traces.with_columns(batch["in_test"]), taken.turns)
        yield taken


def _decoded(traces: pl.DataFrame, source: StoredInput, decoders: Decoders, *, are_checked: bool) -> Tables:
    """Return the traces of one source, in its order."""
    builder = TableBuilder(decoders.projection)
    locations = map(RecordLocation._make, traces.select(LOCATION.names()).iter_rows())
    for _, chunk in read_records(locations, {traces["source"][0]: source.stored}):
        decoded = decoders.of(source.match).decode(chunk)
        if decoded.rejected and are_checked:
            raise SourceError(chunk.source, "has changed while it was read")
        raise_first(decoded)
        builder.add(decoded.columns)
    return builder.build()


def _batches(traces: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the traces of whole records, as many at a time as fill a batch."""
    ends_record = traces["group"] != traces["group"].shift(-1)
    start = size = 0
    for row, (length, is_end) in enumerate(zip(traces["length"], ends_record.fill_null(value=True), strict=True)):
        size += length
        if is_end and size >= threshold_reader.BATCH_BYTES:
            yield traces.slice(start, row + 1 - start)
            start, size = row + 1, 0
    if size:
        yield traces.slice(start)
