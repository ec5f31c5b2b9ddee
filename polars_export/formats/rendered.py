"""What a record format makes of some traces."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from polars_export.report import DropReason

__all__ = ["Rendered"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """Records, one a row, and the account of the traces that they were made from.

    Attributes:
        records: The records; strings may still be views, and JSON values are their text.
        rows: For each record the row of the trace that it was made from, of a pair the chosen one's.
        dropped: Number of traces that have no place in a record, by reason.
        dropped_content: Content of the exported traces that the records cannot carry, by kind.
    """

    records: pa.Table
    rows: pl.Series
    dropped: dict[DropReason, int] = field(default_factory=dict)
    dropped_content: dict[str, int] = field(default_factory=dict)

    def with_records(self, records: pa.Table) -> Rendered:
        """Return the same account of other records."""
        return replace(self, records=records)
