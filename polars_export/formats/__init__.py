"""Record formats: one module each with the same surface.

`schema(options)` is the Arrow schema of a record; `render(tables, options)` makes the records, one a row, with the
columns of that schema (strings may still be views); `ABSENT` names the keys that JSON leaves out where they are null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from polars_export.formats import chatml, dpo, sharegpt
from polars_export.options import TrainingFormat

if TYPE_CHECKING:
    import pyarrow as pa

    from polars_export.options import ExportOptions
    from polars_export.tables import Tables

__all__ = ["RecordFormat", "record_format"]


class RecordFormat(Protocol):
    """What a module of this package offers."""

    @property
    def ABSENT(self) -> tuple[str, ...]:  # noqa: N802 - a constant of the module
        """Keys that JSON leaves out where they are null."""
        ...

    def schema(self, options: ExportOptions) -> pa.Schema:
        """Return the schema of a record."""
        ...

    def render(self, tables: Tables, options: ExportOptions) -> pa.Table:
        """Return the records of some traces."""
        ...


_FORMATS: dict[TrainingFormat, RecordFormat] = {
    TrainingFormat.CHATML: chatml,
    TrainingFormat.DPO: dpo,
    TrainingFormat.SHAREGPT: sharegpt,
}


def record_format(options: ExportOptions) -> RecordFormat:
    """Return the format that the options ask for."""
    return _FORMATS[options.format]
