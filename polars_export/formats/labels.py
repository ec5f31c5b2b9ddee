"""The label of an unpaired preference."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from polars_export.options import ExportOptions

__all__ = ["labels"]


def labels(traces: pl.DataFrame, options: ExportOptions) -> pl.Series:
    """Return for each trace whether it passes, null where that is unknown.

    It passes if its verdict is `pass`; with a label threshold, which replaces the verdict, if its score reaches that.
    """
    if options.label_threshold is not None:
        return traces["score"] >= options.label_threshold
    return traces["verdict"] == "pass"
