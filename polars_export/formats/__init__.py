"""Record formats: a package per target, in it one module per format with the same surface.

A package describes its target as `TARGET` (see `polars_export.targets`), and with it where the module of each format
is. A module has `schema(options)`, the Arrow schema of a record; `render(tables, options)`, which makes the records,
with the columns of that schema; and `ABSENT`, the keys that JSON leaves out where they are null.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import pyarrow as pa

    from polars_export.formats.rendered import Rendered
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["RecordFormat", "record_format"]


class RecordFormat(Protocol):
    """What the module of a format offers."""

    @property
    def ABSENT(self) -> tuple[str, ...]:  # noqa: N802 - a constant of the module
        """Keys that JSON leaves out where they are null."""
        ...

    def schema(self, options: ExportOptions) -> pa.Schema:
        """Return the schema of a record."""
        ...

    def render(self, tables: Tables, options: ExportOptions) -> Rendered:
        """Return the records of some traces."""
        ...


def record_format(options: ExportOptions) -> RecordFormat:
    """Load the module of the format that the options ask for."""
    return cast("RecordFormat", import_module(options.target_format.module))
