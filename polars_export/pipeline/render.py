"""Render a batch: tables in, records and counts out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import polars as pl

from polars_export.choices import MissingPrompt
from polars_export.formats import record_format
from polars_export.pipeline.counters import Counters
from polars_export.pipeline.dropped_traces import count_dropped_traces
from polars_export.report import DropReason
from polars_export.selection.decide import drop_reasons
from polars_export.selection.rule import CASE
from polars_export.targets import Unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polars_export.formats.rendered import Rendered
    from polars_export.options import ExportOptions
    from polars_export.pipeline.counters import Case
    from polars_export.selection.rule import Rule
    from polars_export.tables.tables import Tables

__all__ = ["RenderedBatch", "keep_prompted", "keep_prompted_traces", "render_batch"]


@dataclass(frozen=True, slots=True)
class RenderedBatch:
    """Records, and the traces that they were made from.

    Attributes:
        tables: The traces; those of one record follow each other.
        rendered: Their records.
        unit: What a record is made of.
        counters: What became of the traces.
    """

    tables: Tables
    rendered: Rendered
    unit: Unit
    counters: Counters

    def exported_traces(self) -> pl.DataFrame:
        """Return the traces that are in the records; of a pair both."""
        rows = self.rendered.rows
        if self.unit is Unit.PAIR:
            rows = pl.concat([rows, rows + 1]).sort()
        return self.tables.traces[rows]


def render_batch(tables: Tables, options: ExportOptions) -> RenderedBatch:
    """Return the records of traces, which have their prompts; the traces of one record follow each other."""
    rendered = record_format(options).render(tables, options)
    counters = Counters() if rendered.reasons is None else count_dropped_traces(tables.traces, rendered.reasons)
    if counters.dropped[DropReason.MISSING_PROMPT] and options.missing_prompt is MissingPrompt.ERROR:
        counters.missing |= _cases(tables.traces.filter(rendered.reasons == DropReason.MISSING_PROMPT))
    counters.exported = len(tables) - sum(counters.dropped.values())
    counters.records = rendered.records.num_rows
    counters.dropped_content.update(rendered.dropped_content)
    return RenderedBatch(tables, rendered, options.unit, counters)


def keep_prompted(tables: Tables, rules: Sequence[Rule], options: ExportOptions) -> tuple[Tables, Counters]:
    """Return the traces that make a conversation once their prompts are joined, and what became of the others."""
    keep, counters = keep_prompted_traces(tables.traces, rules, options)
    return tables.filter(keep), counters


def keep_prompted_traces(
    traces: pl.DataFrame, rules: Sequence[Rule], options: ExportOptions
) -> tuple[pl.Series, Counters]:
    """Return which traces make a conversation, and what became of the others.

    Where a missing prompt is an error, the counters name the cases.
    """
    reasons = drop_reasons(traces, rules)
    counters = count_dropped_traces(traces, reasons)
    if counters.dropped[DropReason.MISSING_PROMPT] and options.missing_prompt is MissingPrompt.ERROR:
        counters.missing |= _cases(traces.filter(pl.col("user_messages") == 0))
    return reasons.is_null(), counters


def _cases(traces: pl.DataFrame) -> dict[Case, None]:
    return dict.fromkeys(cast("list[Case]", traces.select(CASE).rows()))
