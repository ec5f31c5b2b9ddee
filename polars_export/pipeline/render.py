"""From tables to records, and the account of what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from polars_export.formats import record_format
from polars_export.targets import Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polars_export.formats.rendered import Rendered
    from polars_export.options import ExportOptions
    from polars_export.pipeline.counters import Counters
    from polars_export.tables.tables import Tables

__all__ = ["RenderedBatch", "rendered"]


@dataclass(frozen=True, slots=True)
class RenderedBatch:
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


def rendered(tables: Iterable[Tables], options: ExportOptions, tally: Counters) -> Iterator[RenderedBatch]:
    """Yield the records of traces that are to be exported; of pairs, the chosen one stands before the rejected one."""
    format_ = record_format(options)
    in_pairs = options.unit is Unit.PAIR
    for some in tables:
        made = format_.render(some, options)
        for reason, count in made.dropped.items():
            tally.drop(reason, count)
        tally.exported += len(some) - sum(made.dropped.values())
        tally.records += made.records.num_rows
        tally.dropped_content.update(made.dropped_content)
        if made.records.num_rows:
            yield RenderedBatch(some, made, in_pairs)
