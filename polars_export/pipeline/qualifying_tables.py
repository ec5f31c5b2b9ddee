"""Traces of tables that stay by the rules which look at each of them: what `threshold_reader` is to chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.errors import OptionError
from polars_export.pipeline.dropped_traces import count_dropped_traces
from polars_export.pipeline.table_arguments import with_record_arguments
from polars_export.selection.decide import drop_reasons
from polars_export.selection.rule import CASE
from polars_export.selection.rules import columns_of, rules_of
from polars_export.tables.projection import Projection

if TYPE_CHECKING:
    import polars as pl

    from polars_export.options import ExportOptions
    from polars_export.pipeline.counters import Counters
    from polars_export.tables.tables import Tables

__all__ = ["QualifyingTables"]


class QualifyingTables:
    """Decides which traces of tables stay.

    Args:
        options: Say which rules there are and what the records need.
    """

    def __init__(self, options: ExportOptions) -> None:
        rules = rules_of(options)
        self._target = options.target
        self._each = rules.each
        names = columns_of((*rules.each, *rules.prompted, *rules.across))
        inputs = ("input",) if self._target.inputs else ()
        counts = ("system_messages", "user_messages") if self._target.joins_prompts else ()
        self.columns = tuple(dict.fromkeys((*CASE, *names, *inputs, *counts)))
        self.projection = max(options.target_format.projection, Projection.RECORDS)

    def reasons(self, traces: pl.DataFrame, counters: Counters, name: str) -> pl.Series:
        """Return for each trace why it leaves, null if it stays, and count all of them.

        Args:
            traces: Rows with the `columns` of this.
            counters: Take the counts.
            name: Names the tables in an error.

        Raises:
            OptionError: The target has no records for their kind of input.
        """
        self.check_inputs(traces, name)
        counters.traces_read += traces.height
        reasons = drop_reasons(traces, self._each)
        counters.add(count_dropped_traces(traces, reasons))
        return reasons

    def as_records_need(self, tables: Tables) -> Tables:
        """Return tables whose tool-call arguments are written as the records have them."""
        return with_record_arguments(tables, sort_arguments=self._target.sorted_arguments)

    def check_inputs(self, traces: pl.DataFrame, name: str) -> None:
        """Check that the target has records for what the traces were read from.

        Raises:
            OptionError: It has none.
        """
        if not self._target.inputs:
            return
        other = traces.filter(~traces["input"].is_in(self._target.inputs).fill_null(value=False))["input"]
        if len(other):
            kind = other[0] or "traces of an unknown input"
            raise OptionError(
                "target",
                f"{self._target} is defined for {', '.join(self._target.inputs)}, and {name} holds {kind}; "
                "choose --target trl",
            )
