"""The label of an unpaired preference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from polars_export.errors import OptionError

if TYPE_CHECKING:
    from polars_export.options import ExportOptions

__all__ = ["labels"]


def labels(traces: pl.DataFrame, options: ExportOptions) -> pl.Series:
    """Return for each trace whether its verdict is `pass`, or, with a label threshold, its score reaches that.

    Raises:
        OptionError: A trace has no verdict, and there is no label threshold.
    """
    if options.label_threshold is not None:
        return traces["score"] >= options.label_threshold
    verdicts = traces["verdict"]
    if verdicts.null_count():
        case = traces.filter(pl.col("verdict").is_null())["case_id"][0]
        raise OptionError(
            "label_threshold", f"is needed: the trace of case {case!r} has no verdict to make a label from"
        )
    return verdicts == "pass"
