"""Read stored tables by row groups, traces and turns in step, and only the columns asked for."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from polars_export.errors import SourceError
from polars_export.sources.store import store_for
from polars_export.table_files.layout import TraceGroup
from polars_export.tables.conform import conformed
from polars_export.tables.projection import Projection
from polars_export.tables.schema import TRACES, TURNS
from polars_export.tables.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from polars_export.table_files.layout import TableFiles
    from polars_export.tables.schema import Column

__all__ = ["TableReader", "trace_groups"]

_REQUIRED = ("trace", "case_id", "turns", "text")
_STEP = ("trace", "turns")


class _TurnGroup(NamedTuple):
    """A row group of the turns: its file, its place there, and how many turns stand before it and in it."""

    file: int
    row_group: int
    first: int
    rows: int


class TableReader:
    """Reads the tables of some files.

    Args:
        files: The files; their footers are read at once.

    Raises:
        SourceError: A file cannot be read, or is no Parquet.
    """

    def __init__(self, files: TableFiles) -> None:
        self._files = files
        self._traces = [_File(path) for path in files.traces]
        self._turns = [_File(path) for path in files.turns]
        self._turn_groups = list(_turn_groups(self._turns))

    def groups(self) -> list[TraceGroup]:
        """Return all row groups of the traces, with what belongs to them.

        Raises:
            SourceError: A file cannot be read, or the traces have another number of turns than there are.
        """
        found: list[TraceGroup] = []
        first_row = first_turn = 0
        turn_bytes = sum(sum(file.sizes) for file in self._turns)
        all_turns = sum(group.rows for group in self._turn_groups)
        for place, file in enumerate(self._traces):
            for number, rows in enumerate(file.rows):
                turns = int(file.read(number, _columns(TRACES, ["turns"]))["turns"].sum())
                size = file.sizes[number] + (turn_bytes * turns // all_turns if all_turns else 0)
                found.append(TraceGroup(place, number, rows, first_row, first_turn, turns, size))
                first_row, first_turn = first_row + rows, first_turn + turns
        if first_turn != all_turns:
            raise SourceError(
                self._files.name, f"the traces have {first_turn:,} turns, and there are {all_turns:,} rows of turns"
            )
        return found

    def traces(self, group: TraceGroup, names: Collection[str]) -> pl.DataFrame:
        """Return some columns of the traces of a row group, `trace` and `turns` among them.

        Raises:
            SourceError: The file cannot be read, or a column is not what it should be.
        """
        return self._traces[group.file].read(group.row_group, _columns(TRACES, {*_STEP, *names}))

    def tables(self, group: TraceGroup, projection: Projection, more: Collection[str] = ()) -> Tables:
        """Return the traces of a row group and their turns at a projection, and more columns of the traces.

        Raises:
            SourceError: A file cannot be read, a column is not what it should be, or turns are not those of the traces.
        """
        names = {column.name for column in TRACES if column.projection <= projection}
        traces = self.traces(group, names | {*more})
        if projection < Projection.FULL:
            metric = pl.struct(pl.element().struct.field("value"))
            traces = traces.with_columns(pl.col("metrics").list.eval(metric))
        if projection < Projection.RECORDS:
            return Tables(traces, pl.DataFrame())
        columns = [column for column in TURNS if column.projection <= projection]
        tables = Tables(traces, self._read_turns(group, columns))
        if not (traces["trace"].gather(tables.trace_rows()) == tables.turns["trace"]).all():
            raise SourceError(self._files.name, "the rows of turns are not in the order of the traces")
        return tables

    def _read_turns(self, group: TraceGroup, columns: Sequence[Column]) -> pl.DataFrame:
        end = group.first_turn + group.turns
        parts = [pl.DataFrame(schema={column.name: column.dtype for column in columns})]
        for turns in self._turn_groups:
            start, stop = max(group.first_turn, turns.first), min(end, turns.first + turns.rows)
            if start < stop:
                frame = self._turns[turns.file].read(turns.row_group, columns)
                parts.append(frame.slice(start - turns.first, stop - start))
        return pl.concat(parts)


def trace_groups(files: TableFiles) -> list[TraceGroup]:
    """Return all row groups of the traces of some files; see `TableReader.groups`."""
    return TableReader(files).groups()


def _columns(columns: Sequence[Column], names: Collection[str]) -> list[Column]:
    return [column for column in columns if column.name in names]


class _File:
    """One Parquet file; it is open only while it is read.

    Attributes:
        rows: The number of rows of each row group.
        sizes: Their bytes uncompressed.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        with _parquet_errors(path), store_for(path).open(path) as file:
            opened = pq.ParquetFile(file)
            self._metadata, self._names = opened.metadata, set(opened.schema_arrow.names)
        groups = [self._metadata.row_group(number) for number in range(self._metadata.num_row_groups)]
        self.rows = [group.num_rows for group in groups]
        self.sizes = [group.total_byte_size for group in groups]

    def read(self, row_group: int, columns: Sequence[Column]) -> pl.DataFrame:
        """Return columns of a row group; those that the file lacks have their defaults.

        Raises:
            SourceError: The file cannot be read, or a column is not what it should be.
        """
        held = [column.name for column in columns if column.name in self._names]
        with _parquet_errors(self._path), store_for(self._path).open(self._path) as file:
            opened = pq.ParquetFile(file, metadata=self._metadata)
            table = opened.read_row_group(row_group, columns=held, use_threads=False)
            table.validate(full=True)  # texts too, which Polars would take as they are
            plain = pa.table({field.name: table[field.name] for field in table.schema})
            frame = pl.DataFrame(plain)  # without metadata: Polars panics where these are no text
        known = [column.name for column in columns]
        required = [name for name in _REQUIRED if name in known]
        return conformed(self._path, frame, columns, required, ()).select(known)


@contextmanager
def _parquet_errors(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, OverflowError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise SourceError(path, f"cannot be read as Parquet ({reason})") from None


def _turn_groups(files: Sequence[_File]) -> Iterator[_TurnGroup]:
    first = 0
    for place, file in enumerate(files):
        for number, rows in enumerate(file.rows):
            yield _TurnGroup(place, number, first, rows)
            first += rows
