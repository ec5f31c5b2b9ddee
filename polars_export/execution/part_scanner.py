"""Scan a part: read of its traces what decides on a choice among all, and where they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import polars as pl

from polars_export.execution.tasks import PartAccount, ScannedPart, StoredInput
from polars_export.pipeline.dropped_traces import count_dropped_traces
from polars_export.pipeline.render import keep_prompted_traces
from polars_export.pipeline.threshold_reader import ThresholdReader
from polars_export.process import pause_gc
from polars_export.selection.case_key import with_case_key
from polars_export.selection.decide import drop_reasons
from polars_export.selection.openings import OPENINGS, case_openings
from polars_export.selection.rule import CASE_KEY
from polars_export.selection.rules import columns_of, rules_of
from polars_export.sources.random_access import RecordLocation, StoredSource
from polars_export.tables.builder import TableBuilder
from polars_export.tables.schema import TRACES, polars_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from polars_export.execution.part_reader import PartReader
    from polars_export.execution.table_reader import TablePartReader
    from polars_export.execution.tasks import OnProgress, ScanPart, ScanTables, StoredTables
    from polars_export.inputs.dialect import Match
    from polars_export.options import ExportOptions
    from polars_export.pipeline.counters import Counters
    from polars_export.prompts.join import SideInputs
    from polars_export.sources.chunk import Chunk
    from polars_export.sources.layout import TableLayout
    from polars_export.sources.segments import Segment
    from polars_export.tables.tables import Tables

__all__ = ["LOCATION", "PartScanner"]

LOCATION = pl.Schema({"source": pl.UInt32, "offset": pl.UInt64, "length": pl.UInt32, "part": pl.UInt32})

_TRACES_AT_ONCE = 5_000  # a compressed file, which is one part, may hold millions


class PartScanner:
    """Scans the parts of one export.

    Args:
        options: Say which rules there are.
        reader: Reads the parts.
        tables: Reads those of stored tables.
        side_inputs: Returns prompts and tools, None where the records hold neither.
    """

    def __init__(
        self,
        options: ExportOptions,
        reader: PartReader,
        tables: TablePartReader,
        side_inputs: Callable[[], SideInputs | None],
    ) -> None:
        self._options = options
        self._reader = reader
        self._tables = tables
        self._side_inputs = side_inputs
        self._traces = ThresholdReader(options)
        self._rules = rules_of(options)
        names = columns_of(self._rules.across)
        known = polars_schema(TRACES, self._traces.selection_projection)
        key = dict.fromkeys(CASE_KEY, pl.UInt64())
        self._schema = pl.Schema({**LOCATION, **key, **{name: known[name] for name in names}})

    def scan(self, task: ScanPart, on_progress: OnProgress) -> ScannedPart:
        """Return what decides on the choice among all traces.

        Raises:
            InputError: A source or a record cannot be used.
        """
        stored: dict[int, StoredInput | StoredTables] = {}
        builder, locations = TableBuilder(self._traces.selection_projection), list[RecordLocation]()
        frames, openings = [self._schema.to_frame()], [OPENINGS.to_frame()]
        with pause_gc(), self._reader.open(task.number) as (account, rejects):
            for segment, match, chunk in self._reader.chunks(task.part, account, rejects, on_progress):
                scanned = self._traces.scan(match, chunk, rejects, account.counters)
                builder.add(scanned.columns)
                locations += _locations(segment, scanned.chunk)
                if len(builder) >= _TRACES_AT_ONCE:
                    frames.append(self._eligible_built(builder, locations, account.counters, openings))
                    locations.clear()
                if segment.number not in stored:
                    stored[segment.number] = self._stored(segment, match, chunk)
            if len(builder):
                frames.append(self._eligible_built(builder, locations, account.counters, openings))
            return ScannedPart(pl.concat(frames), stored, account, pl.concat(openings).unique(maintain_order=True))

    def scan_tables(self, task: ScanTables, on_progress: OnProgress) -> ScannedPart:
        """Return what decides on the choice among all traces, of stored tables.

        Raises:
            InputError: The tables cannot be used.
        """
        part = task.part
        frames, openings = [self._schema.to_frame()], [OPENINGS.to_frame()]
        account = PartAccount(checksums=self._tables.checksums(part))
        with pause_gc():
            for group, tables in self._tables.outlines(part, on_progress):
                located = pl.DataFrame(
                    {
                        "source": pl.repeat(part.number, len(tables), dtype=pl.UInt32, eager=True),
                        "offset": pl.int_range(len(tables), dtype=pl.UInt64, eager=True) + group.first_row,
                        "length": pl.repeat(1 + group.size // max(group.rows, 1), len(tables), eager=True),
                        "part": pl.repeat(0, len(tables), eager=True),
                    }
                ).cast(LOCATION)
                account.counters.traces_read += len(tables)
                frames.append(self._eligible(tables, located, account.counters, openings))
        stored: dict[int, StoredInput | StoredTables] = {part.number: part.tables}
        return ScannedPart(pl.concat(frames), stored, account, pl.concat(openings).unique(maintain_order=True))

    def _eligible_built(
        self,
        builder: TableBuilder,
        locations: Sequence[RecordLocation],
        counters: Counters,
        openings: list[pl.DataFrame],
    ) -> pl.DataFrame:
        """Return the rows of a `ScannedPart` for the traces of a builder; see `_eligible`."""
        return self._eligible(
            builder.build(), pl.DataFrame(locations, schema=LOCATION, orient="row"), counters, openings
        )

    def _eligible(
        self, tables: Tables, located: pl.DataFrame, counters: Counters, openings: list[pl.DataFrame]
    ) -> pl.DataFrame:
        """Return the rows of a `ScannedPart` for the traces that stay by the rules which look at each of them."""
        side_inputs = self._side_inputs()
        if self._options.splits_by_prompt:
            prompted = side_inputs.attach(tables) if side_inputs else tables
            openings.append(case_openings(prompted, self._options.repository.seed))
        traces = pl.concat([tables.traces, located], how="horizontal")
        reasons = drop_reasons(traces, self._rules.each)
        counters.add(count_dropped_traces(traces, reasons))
        traces = traces.filter(reasons.is_null())
        if side_inputs:
            traces = side_inputs.count_messages(traces)
            keep, dropped = keep_prompted_traces(traces, self._rules.prompted, self._options)
            counters.add(dropped)
            traces = traces.filter(keep)
        return with_case_key(traces).select(self._schema.names())

    def _stored(self, segment: Segment, match: Match, chunk: Chunk) -> StoredInput:
        spool = self._reader.spool(segment)
        path = str(spool) if spool and spool.exists() else segment.path
        layout = cast("TableLayout", match.layout) if match.layout and not match.layout.is_stream else None
        return StoredInput(StoredSource(segment.path, path, chunk.array_path, chunk.header, layout), match)


def _locations(segment: Segment, chunk: Chunk) -> list[RecordLocation]:
    """Return where the traces of a chunk stand."""
    ranges = zip(chunk.locations(), chunk.traces(), strict=True)
    return [RecordLocation(segment.number, offset, length, part) for (offset, length), (_, part) in ranges]
