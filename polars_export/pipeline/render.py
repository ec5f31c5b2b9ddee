"""From tables to records, and the account of what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from polars_export.formats import record_format
from polars_export.options import TrainingFormat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polars_export.formats.rendered import Rendered
    from polars_export.options import ExportOptions
    from polars_export.pipeline.tally import Tally
    from polars_export.tables import Tables

__all__ = ["Piece", "rendered"]


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


def rendered(tables: Iterable[Tables], options: ExportOptions, tally: Tally) -> Iterator[Piece]:
    """Yield the records of traces that are to be exported; of pairs, the chosen one stands before the rejected one."""
    format_ = record_format(options)
    in_pairs = options.format is TrainingFormat.DPO
    for some in tables:
        made = format_.render(some, options)
        for reason, count in made.left_out.items():
            tally.leave_out(reason, count)
        tally.exported += len(some) - sum(made.left_out.values())
        tally.records += made.records.num_rows
        tally.not_carried.update(made.not_carried)
        if made.records.num_rows:
            yield Piece(some, made, in_pairs)
