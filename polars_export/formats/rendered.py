"""What a record format makes of some traces."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from polars_export.report import DropReason

__all__ = ["Rendered", "first_reason"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """Records, one a row, and the account of the traces that they were made from.

    Attributes:
        records: The records; strings may still be views, and JSON values are their text.
        rows: For each record the row of the trace that it was made from, of a pair the chosen one's.
        reasons: For each trace why it is in no record, null if it is in one; None if all are.
        dropped_content: Content of the exported traces that the records cannot carry, by kind.
    """

    records: pa.Table
    rows: pl.Series
    reasons: pl.Series | None = None
    dropped_content: dict[str, int] = field(default_factory=dict)

    def with_records(self, records: pa.Table) -> Rendered:
        """Return the same account of other records."""
        return replace(self, records=records)

    def among(self, reasons: pl.Series) -> Rendered:
        """Return the account of more traces: those without a reason are these, the others left for theirs."""
        rows = reasons.is_null().arg_true()
        if self.reasons is not None:
            reasons = reasons.scatter(rows, self.reasons)
        return replace(self, rows=rows.gather(self.rows), reasons=reasons)


def first_reason(conditions: Mapping[DropReason, pl.Series]) -> pl.Series:
    """Return for each row the first reason whose condition holds, null where none does."""
    columns = pl.DataFrame({str(reason): holds for reason, holds in conditions.items()})
    chosen = (pl.when(pl.col(name)).then(pl.lit(name)) for name in columns.columns)
    return columns.select(pl.coalesce(*chosen, pl.lit(None, pl.String)).alias("reason")).to_series()
