"""The stages between reading and rendering: each takes tables, passes some on and counts what it leaves out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import polars as pl

from polars_export.choices import MissingPrompt
from polars_export.inputs.eval_results.decoder import TraceDecoder
from polars_export.inputs.eval_results.flatten import ColumnBuilder
from polars_export.report import DropReason
from polars_export.selection.pairs import CASE, pairs
from polars_export.selection.scoring import qualifies, score
from polars_export.tables.projection import Projection
from polars_export.tables.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from polars_export.execution.quarantine import Rejects
    from polars_export.inputs.eval_results.decoder import Decoded
    from polars_export.inputs.eval_results.records import TraceOutline
    from polars_export.options import ExportOptions
    from polars_export.pipeline.counters import Counters
    from polars_export.prompts.join import SideInputs
    from polars_export.sources.chunk import Chunk

__all__ = [
    "BATCH_BYTES",
    "ThresholdReader",
    "projection_of",
    "filter_by_margin",
    "paired",
    "prompted",
    "prompted_traces",
    "scored",
]

BATCH_BYTES = 17 << 20  # two to a part
"""How much of the input becomes one batch of tables. Decoding likes two megabytes; but a call of Polars costs as much
as the work on some hundred turns, and a batch takes about fifty calls."""

_PAIRS_AT_ONCE = 500  # bounds the memory for rendering: two traces each


class ThresholdReader:
    """Decodes and flattens chunks, and yields the traces that reach the quality threshold, a batch at a time.

    Where few do, the traces of a chunk are decoded in outline first, which takes half the time, and only those that
    qualify in full. So that it makes no difference which way is taken, a trace that does not qualify is never an error
    if its outline is none. Whether few do is remembered from one part to the next.
    """

    def __init__(self, options: ExportOptions) -> None:
        self._options = options
        self._detail = projection_of(options)
        self._in_full = TraceDecoder(self._detail)
        self._in_outline = TraceDecoder(Projection.CHOICE)
        self._few = False

    def of(self, chunks: Iterable[Chunk], tally: Counters, rejects: Rejects) -> Iterator[Tables]:
        """Yield the qualifying traces of some chunks."""
        rows = ColumnBuilder(self._detail, sort_arguments=self._options.target.sorted_arguments)
        size = 0
        for chunk in chunks:
            tally.traces_read += len(chunk.spans)
            rows.add(self._decoded(chunk, tally, rejects))
            size += chunk.spans[-1][1] - chunk.spans[0][0] if chunk.spans else 0
            if size >= BATCH_BYTES:
                yield from self._batch(rows, tally)
                size = 0
        yield from self._batch(rows, tally)

    def outlines(self, chunk: Chunk, tally: Counters, rejects: Rejects) -> Decoded:
        """Return the traces of a chunk in outline, also those that do not qualify.

        Where bad records are left out, those that qualify are decoded in full too, so that none of them is chosen.
        """
        tally.traces_read += len(chunk.spans)
        if not self._options.skips:
            outlines = self._in_outline.decode(chunk)
            rejects.records(tally, outlines)
            return outlines
        outlines, decoded = self._in_two_steps(chunk, self._in_full.decode_with_headroom, tally, rejects)
        return _without(outlines, {rejected.position for rejected in decoded.rejected})

    def _decoded(self, chunk: Chunk, tally: Counters, rejects: Rejects) -> Sequence[TraceOutline]:
        if not self._few:
            decoded = self._in_full.decode_with_headroom(chunk)
            if not decoded.rejected:
                return decoded.traces
        outlines, decoded = self._in_two_steps(chunk, self._in_full.decode, tally, rejects)
        self._leave_out(len(outlines.traces), len(decoded.traces) + len(decoded.rejected), tally)
        return decoded.traces

    def _in_two_steps(
        self, chunk: Chunk, in_full: Callable[[Chunk], Decoded], tally: Counters, rejects: Rejects
    ) -> tuple[Decoded, Decoded]:
        """Decode all traces of a chunk in outline, and those that qualify in full; reject what is bad in either."""
        outlines = self._in_outline.decode(chunk)
        decoded = in_full(outlines.chunk.only(self._good(outlines)))
        rejects.records(tally, outlines, decoded)
        return outlines, decoded

    def _good(self, outlines: Decoded) -> list[int]:
        """Return the indices of the traces that qualify."""
        rows = ColumnBuilder(Projection.CHOICE)
        rows.add(outlines.traces)
        if not len(rows):
            return []
        return scored(rows).select(qualifies(self._options)).to_series().arg_true().to_list()

    def _batch(self, rows: ColumnBuilder, tally: Counters) -> Iterator[Tables]:
        if not len(rows):
            return
        tables = Tables.of(rows.batch())
        kept = tables.filter(tables.traces.select(qualifies(self._options)).to_series())
        if len(kept) < len(tables):
            self._leave_out(len(tables), len(kept), tally)
        if len(kept):
            yield kept

    def _leave_out(self, seen: int, kept: int, tally: Counters) -> None:
        tally.drop(DropReason.BELOW_THRESHOLD, seen - kept)
        self._few = 2 * kept < seen


def _without(decoded: Decoded, positions: set[int]) -> Decoded:
    if not positions:
        return decoded
    kept = [index for index, position in enumerate(decoded.chunk.positions) if position not in positions]
    return replace(decoded, chunk=decoded.chunk.only(kept), traces=[decoded.traces[index] for index in kept])


def projection_of(options: ExportOptions) -> Projection:
    """Return the level of detail that the records need."""
    return options.target_format.projection


def scored(rows: ColumnBuilder) -> pl.DataFrame:
    """Return the table `traces` of the rows gathered, with their scores."""
    return pl.DataFrame(rows.batch().traces).with_columns(score())


def prompted(
    tables: Iterable[Tables], context: SideInputs, options: ExportOptions, tally: Counters
) -> Iterator[Tables]:
    """Join prompts and tools to traces, and yield those that make a conversation."""
    for some in tables:
        joined = Tables(context.join(some.traces), some.turns)
        kept = joined.filter(prompted_traces(joined.traces, options, tally))
        if len(kept) and not tally.missing:
            yield kept


def prompted_traces(joined: pl.DataFrame, options: ExportOptions, tally: Counters) -> pl.Series:
    """Return which of the traces, joined with their prompts, make a conversation, and count the others."""
    asked, spoken = joined.select(
        asked=pl.col("user_messages").list.len() > 0,
        spoken=(pl.col("turns") > 0) | (pl.col("final_response").fill_null("") != ""),
    ).get_columns()
    if options.missing_prompt is MissingPrompt.KEEP:
        asked = asked | True
    elif options.missing_prompt is MissingPrompt.ERROR:
        cases = joined.filter(~asked).select(CASE).rows()
        tally.missing |= dict.fromkeys(cast("list[tuple[str | None, str]]", cases))
    tally.drop(DropReason.MISSING_PROMPT, int((~asked).sum()))
    tally.drop(DropReason.NOT_REPRESENTABLE, int((asked & ~spoken).sum()))
    return asked & spoken


def paired(qualified: Iterable[Tables], options: ExportOptions, tally: Counters) -> Iterator[Tables]:
    """Yield the chosen and the rejected trace of every pair, one behind the other, of traces that are all at hand."""
    held = list(qualified)
    if held:
        every = Tables.concat(held)
        sides = filter_by_margin(pairs(every.traces.lazy()).collect(), options, tally)
        yield from _take_pairs(every, sides)


def _take_pairs(tables: Tables, sides: pl.DataFrame) -> Iterator[Tables]:
    """Yield the traces of pairs, chosen, rejected, chosen, rejected, and so on, some pairs at a time."""
    for some in sides.iter_slices(_PAIRS_AT_ONCE):
        if some.height:
            yield tables.take(some.select(pl.concat_list("chosen", "rejected").explode()).to_series())


def filter_by_margin(sides: pl.DataFrame, options: ExportOptions, tally: Counters) -> pl.DataFrame:
    """Return the cases of which a pair is made, and count the traces of the others and those between best and worst.

    Where the target's pairs need a margin, their scores must differ, and by no less than the minimum margin.
    """
    single = sides["runs"] == 1
    tied = near = single & False
    if options.target.pairs_need_margin:
        tied = ~single & (sides["margin"] <= 0)
        near = ~single & ~tied & (sides["margin"] < options.min_margin)
    tally.drop(DropReason.SINGLE_RUN, int(single.sum()))
    tally.drop(DropReason.NOT_SELECTED, int((sides["runs"].cast(pl.Int64) - 2).clip(0).sum()))
    tally.drop(DropReason.TIED, 2 * int(tied.sum()))
    tally.drop(DropReason.SMALL_MARGIN, 2 * int(near.sum()))
    return sides.filter(~single & ~tied & ~near)
