"""How the options of an export say that its sources are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.inputs.read_options import ReadOptions

if TYPE_CHECKING:
    from polars_export.options import ExportOptions

__all__ = ["read_options"]


def read_options(options: ExportOptions) -> ReadOptions:
    """Return how the sources of an export are read."""
    return ReadOptions(options.max_record_bytes, options.skips, options.input, options.map)
