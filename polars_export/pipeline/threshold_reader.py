"""Decode chunks to tables of the traces that stay by the rules which look at each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from polars_export.inputs.decoders import Decoders
from polars_export.inputs.decoding import decode_with_headroom
from polars_export.pipeline.counters import Counters
from polars_export.pipeline.dropped_traces import count_dropped_traces
from polars_export.report import DropReason
from polars_export.selection.decide import drop_reasons
from polars_export.selection.rules import columns_of, rules_of
from polars_export.tables.builder import TableBuilder
from polars_export.tables.projection import Projection
from polars_export.tables.schema import projection_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polars_export.inputs.decoding import Decoded
    from polars_export.inputs.dialect import Match
    from polars_export.options import ExportOptions
    from polars_export.sources.chunk import Chunk
    from polars_export.tables.tables import Tables

__all__ = ["BATCH_BYTES", "QualifyingBatch", "RejectSink", "ThresholdReader", "record_decoders"]

BATCH_BYTES = 17 << 20  # two to a part
"""How much of the input becomes one batch of tables. Decoding likes two megabytes; but a call of Polars costs as much
as the work on some hundred turns, and a batch takes about fifty calls."""


def record_decoders(options: ExportOptions, least: Projection = Projection.SELECTION) -> Decoders:
    """Return the decoders to the columns that the records of a target need, and those of a projection."""
    projection = max(options.target_format.projection, least)
    return Decoders(projection, sort_arguments=options.target.sorted_arguments)


class RejectSink(Protocol):
    """Takes the records that cannot be used."""

    def records(self, *decoded: Decoded) -> int:
        """Take what was rejected as one chunk was decoded, perhaps several times; return how many records that is.

        Raises:
            BadRecordError: The first of them, if they stop the export.
        """
        ...


class QualifyingBatch(NamedTuple):
    """Traces that stay, none perhaps, and the account of all that were read for them."""

    tables: Tables | None
    counters: Counters


class ThresholdReader:
    """Decodes and flattens chunks, and yields the traces that stay, a batch at a time.

    Where few stay, the traces of a chunk are first decoded to the columns that decide, which takes half the time, and
    only those that stay to all columns. So that it makes no difference which way is taken, a trace that leaves is never
    an error if the columns that decide are none. Whether few stay is remembered from one batch to the next.

    Args:
        options: Say which rules there are and what the records need.
    """

    def __init__(self, options: ExportOptions) -> None:
        rules = rules_of(options)
        self._skips_invalid = options.skips
        self._rules = rules.each
        needed = projection_of(columns_of((*rules.each, *rules.prompted, *rules.across)))
        if options.splits_by_prompt:
            needed = max(needed, Projection.CONVERSATIONS)
        self._full = record_decoders(options, needed)
        self._outline = Decoders(needed)
        self._few_stay = False

    @property
    def selection_projection(self) -> Projection:
        """The projection of the columns that decide."""
        return self._outline.projection

    def read(self, chunks: Iterable[tuple[Match, Chunk]], rejects: RejectSink) -> Iterator[QualifyingBatch]:
        """Yield the traces that stay of chunks; what the source of a chunk is stands beside it."""
        builder, counters, size = TableBuilder(self._full.projection), Counters(), 0
        for match, chunk in chunks:
            builder.add(self._decode(match, chunk, rejects, counters).columns)
            size += chunk.spans[-1][1] - chunk.spans[0][0] if chunk.spans else 0
            if size >= BATCH_BYTES:
                yield self._batch(builder, counters)
                counters, size = Counters(), 0
        yield self._batch(builder, counters)

    def scan(self, match: Match, chunk: Chunk, rejects: RejectSink, counters: Counters) -> Decoded:
        """Decode all traces of a chunk to the columns that decide; count those read and those that are invalid.

        Where invalid records are skipped, those that stay are decoded to all columns too: none of them is chosen.
        """
        outlines = self._outline.of(match).decode(chunk)
        counters.traces_read += len(outlines) + len(outlines.rejected)
        if not self._skips_invalid:
            rejects.records(outlines)
            return outlines
        stay, _ = self._stay(outlines)
        decoded = decode_with_headroom(self._full.of(match), outlines.chunk.take(stay))
        counters.drop(DropReason.INVALID, rejects.records(outlines, decoded))
        if decoded.rejected:
            invalid = set(outlines.chunk.take(stay).traces()) - set(decoded.chunk.traces())
            valid = [index for index, trace in enumerate(outlines.chunk.traces()) if trace not in invalid]
            outlines = self._outline.of(match).decode(outlines.chunk.take(valid))
        return outlines

    def _decode(self, match: Match, chunk: Chunk, rejects: RejectSink, counters: Counters) -> Decoded:
        """Decode the traces of a chunk to all columns: all of them, or those that stay."""
        if not self._few_stay:
            decoded = decode_with_headroom(self._full.of(match), chunk)
            if not decoded.rejected:
                counters.traces_read += len(decoded)
                return decoded
        outlines = self._outline.of(match).decode(chunk)
        counters.traces_read += len(outlines) + len(outlines.rejected)
        stay, left = self._stay(outlines)
        decoded = self._full.of(match).decode(outlines.chunk.take(stay))
        counters.drop(DropReason.INVALID, rejects.records(outlines, decoded))
        counters.add(left)
        self._few_stay = 2 * len(stay) < len(outlines)
        return decoded

    def _stay(self, outlines: Decoded) -> tuple[list[int], Counters]:
        """Return the indices of the traces that stay, and the account of those that leave."""
        builder = TableBuilder(self._outline.projection)
        builder.add(outlines.columns)
        if not len(builder):
            return [], Counters()
        traces = builder.build().traces
        reasons = drop_reasons(traces, self._rules)
        return reasons.is_null().arg_true().to_list(), count_dropped_traces(traces, reasons)

    def _batch(self, builder: TableBuilder, counters: Counters) -> QualifyingBatch:
        if not len(builder):
            return QualifyingBatch(None, counters)
        tables = builder.build()
        reasons = drop_reasons(tables.traces, self._rules)
        stay = tables.filter(reasons.is_null())
        if len(stay) < len(tables):
            counters.add(count_dropped_traces(tables.traces, reasons))
            self._few_stay = 2 * len(stay) < len(tables)
        return QualifyingBatch(stay if len(stay) else None, counters)
