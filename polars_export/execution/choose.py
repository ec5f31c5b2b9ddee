"""Choose among all traces of an export."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from polars_export.execution.tasks import RenderSelection
from polars_export.selection.decide import select_traces
from polars_export.selection.openings import cases_in_test
from polars_export.selection.rule import CASE_KEY
from polars_export.selection.rules import rules_of
from polars_export.sources import segments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from polars_export.execution.tasks import StoredInput, StoredTables
    from polars_export.options import ExportOptions
    from polars_export.pipeline.counters import Counters

__all__ = ["choose"]


def choose(
    parts: Sequence[pl.DataFrame],
    openings: Sequence[pl.DataFrame],
    stored: Mapping[int, StoredInput | StoredTables],
    options: ExportOptions,
    counters: Counters,
) -> Iterator[RenderSelection]:
    """Yield the traces that are selected among those of all parts, cut into tasks of about equal size.

    Args:
        parts: The traces of each part; see `ScannedPart`.
        openings: The openings of each part, where a dataset is split by prompt.
        stored: The sources, by their numbers.
        options: Say which rules there are.
        counters: Take the traces that are not selected.
    """
    traces = pl.concat(parts)
    rows, dropped = select_traces(traces, rules_of(options).across)
    counters.dropped.update(dropped)
    located = traces.select("source", "offset", "length", "part")[rows["row"]].with_columns(rows["group"])
    if options.splits_by_prompt:
        split = options.repository
        cases = cases_in_test(pl.concat(openings), split.test_fraction, split.seed)
        keys = traces.select(CASE_KEY)[rows["row"]]
        located = located.with_columns(keys.join(cases, on=CASE_KEY, how="left", maintain_order="left")["in_test"])
    for number, selected in enumerate(_cut(located)):
        sources = selected["source"].unique()
        yield RenderSelection(number, selected, {source: stored[source] for source in sources})


def _cut(traces: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut selected traces between records, where a part would become too large."""
    if not traces.height:
        return
    length = pl.col("length").cast(pl.UInt64).cum_sum()
    part = traces.select(pl.col("group"), part=length // segments.PART_BYTES)
    of_record = part.select(pl.col("part").last().over(pl.col("group").rle_id())).to_series()
    start = 0
    for count in of_record.rle().struct.field("len"):
        yield traces.slice(start, count)
        start += count
