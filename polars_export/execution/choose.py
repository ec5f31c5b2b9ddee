"""Choose pairs among all traces of an export."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from polars_export.execution.tasks import RenderSelection
from polars_export.pipeline.stages import filter_by_margin
from polars_export.selection.pairs import pairs
from polars_export.sources import segments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from polars_export.options import ExportOptions
    from polars_export.pipeline.counters import Counters
    from polars_export.sources.random_access import StoredSource

__all__ = ["choose"]

_CASE = ("case_high", "case_low")

_TRACES_AT_ONCE = 250_000
"""Traces, about, among which is chosen at a time: Polars takes some 150 bytes for each, over the 40 that are held."""


def choose(
    parts: Sequence[pl.DataFrame], stored: dict[int, StoredSource], options: ExportOptions, tally: Counters
) -> Iterator[RenderSelection]:
    """Yield the pairs that the traces of all parts make, cut into tasks of about equal size."""
    traces = pl.concat(parts)
    sides = filter_by_margin(_sides(traces), options, tally)
    rows = sides.select(pl.concat_list("chosen", "rejected").explode()).to_series()
    places = traces.select("source", "offset", "length")[rows]
    for number, some in enumerate(_cut(places)):
        sources = some["source"].unique()
        yield RenderSelection(number, some, {source: stored[source] for source in sources})


def _sides(traces: pl.DataFrame) -> pl.DataFrame:
    """Return what `selection.pairs` does, a share of the cases at a time."""
    shares = 1 + traces.height // _TRACES_AT_ONCE
    every = []
    for share in range(shares):
        rows = (traces["case_high"] % shares == share).arg_true()
        sides = pairs(traces.select(*_CASE, "score")[rows].lazy(), _CASE).collect()
        every.append(
            sides.with_columns(rows.gather(sides[name]).alias(name) for name in ("first", "chosen", "rejected"))
        )
    return pl.concat(every).sort("first")


def _cut(places: pl.DataFrame) -> Iterable[pl.DataFrame]:
    """Cut the traces of pairs, two rows each, where a part would become too large."""
    if not places.height:
        return
    of_pair = places["length"].cast(pl.UInt64).cum_sum().gather_every(2, offset=1)
    ends = (of_pair // segments.PART_BYTES).rle().struct.field("len").cum_sum().to_list()
    start = 0
    for end in ends:
        yield places.slice(2 * start, 2 * (end - start))
        start = end
