"""How options say that sources are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.inputs.read_options import ReadOptions

if TYPE_CHECKING:
    from polars_export.input_options import InputOptions
    from polars_export.options import ExportOptions

__all__ = ["read_options"]


def read_options(options: ExportOptions | InputOptions) -> ReadOptions:
    """Return how sources are read."""
    return ReadOptions(options.max_record_bytes, options.skips, options.input, options.map)
