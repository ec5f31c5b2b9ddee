"""From chunks to records: the stages one behind the other, and the account of what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from polars_export.errors import NothingToExportError
from polars_export.formats import record_format
from polars_export.options import TrainingFormat
from polars_export.pipeline.stages import paired, prompted, qualifying

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polars_export.chunk import Chunk
    from polars_export.formats.rendered import Rendered
    from polars_export.options import ExportOptions
    from polars_export.pipeline.tally import Tally
    from polars_export.prompting import Context
    from polars_export.tables import Tables

__all__ = ["Piece", "pieces"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some records, at least one, and the traces that they were made from."""

    tables: Tables
    rendered: Rendered
    paired: bool

    def exported_traces(self) -> pl.DataFrame:
        """Return the traces that are in the records; of a pair both."""
        rows = self.rendered.rows
        if self.paired:
            rows = pl.concat([rows, rows + 1]).sort()
        return self.tables.traces[rows]


def pieces(chunks: Iterable[Chunk], context: Context | None, options: ExportOptions, tally: Tally) -> Iterator[Piece]:
    """Return the records of some chunks, some at a time; there is at least one piece.

    Raises:
        NothingToExportError: No trace is left to export.
    """
    every = _pieces(chunks, context, options, tally)
    first = next(every, None)
    if first is None:
        left_out = {str(reason): count for reason, count in tally.left_out.items()}
        raise NothingToExportError(options.quality_threshold, tally.traces_read, left_out)
    return _chained(first, every)


def _chained(first: Piece, others: Iterator[Piece]) -> Iterator[Piece]:
    yield first
    yield from others


def _pieces(chunks: Iterable[Chunk], context: Context | None, options: ExportOptions, tally: Tally) -> Iterator[Piece]:
    tables = qualifying(chunks, options, tally)
    if context:
        tables = prompted(tables, context, options, tally)
    in_pairs = options.format is TrainingFormat.DPO
    if in_pairs:
        tables = paired(tables, options, tally)
    format_ = record_format(options)
    for some in tables:
        rendered = format_.render(some, options)
        for reason, count in rendered.left_out.items():
            tally.leave_out(reason, count)
        tally.exported += len(some) - sum(rendered.left_out.values())
        tally.records += rendered.records.num_rows
        tally.not_carried.update(rendered.not_carried)
        if rendered.records.num_rows:
            yield Piece(some, rendered, in_pairs)
