"""The rows of Parquet and Arrow IPC files as records: each becomes a JSON object on its way to the decoders.

JSON is the form in which rows of any schema look alike: nested or as text, with all fields or with some. Polars writes
it at the speed at which it is decoded again.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from polars_export.errors import SourceError
from polars_export.json_values import parse
from polars_export.sources.chunk import Chunk, split_oversized
from polars_export.sources.store import as_source_error, store_for
from polars_export.sources.window import CHUNK_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from polars_export.json_values import Json

__all__ = ["TableRows", "first_row", "is_table"]

_PARQUET = b"PAR1"
_IPC_FILE = b"ARROW1"
_IPC_STREAM = b"\xff\xff\xff\xff"
_MOST_ROWS = 512  # of a batch, of which Arrow and Polars have a copy each
_BATCH_BYTES = 4 * CHUNK_BYTES


class _Batch(NamedTuple):
    """Rows of a table as lines of JSON; `first` is the number of the first one."""

    first: int
    lines: bytes
    spans: list[tuple[int, int]]


def is_table(beginning: bytes) -> bool:
    """Return whether a file that begins with these bytes is a table."""
    return beginning.startswith((_PARQUET, _IPC_FILE, _IPC_STREAM))


def first_row(path: str) -> dict[str, Json]:
    """Return the first row of a table with its columns; of an empty table nulls.

    Raises:
        SourceError: It cannot be read.
    """
    with _as_source_error(path), closing(_Table(path)) as table:
        empty = dict.fromkeys(table.names)
        batch = next(table.batches(None, 0, None, 1), None)
        return parse(_as_json(path, batch, 0).lines) if batch and batch.num_rows else empty


@dataclass(frozen=True, slots=True)
class TableRows:
    """The rows of a table are the records.

    Attributes:
        columns: The columns that are read; None for all.
    """

    columns: tuple[str, ...] | None = None
    is_stream: ClassVar[bool] = False

    def cut(self, path: str, part_bytes: int, /) -> list[tuple[int, int, int]]:
        """Return ranges of row groups or batches, each with its bytes in the file.

        Raises:
            SourceError: The table cannot be read.
        """
        with _as_source_error(path), closing(_Table(path)) as table:
            sizes = table.sizes
        ranges: list[tuple[int, int, int]] = []
        start = total = 0
        for unit, size in enumerate(sizes):
            if total and total + size > part_bytes:
                ranges.append((start, unit, total))
                start, total = unit, 0
            total += size
        return [*ranges, (start, len(sizes), total)]

    def units(self, path: str, source: str, start: int, end: int | None, limit: int, /) -> Iterator[Chunk]:
        """Yield the rows of some row groups or batches.

        Raises:
            SourceError: The table cannot be read.
        """
        for batch in _batches(path, source, self.columns, start, end):
            positions = range(batch.first, batch.first + len(batch.spans))
            stored = [(row, to - at) for row, (at, to) in zip(positions, batch.spans, strict=True)]
            chunk = Chunk(source, memoryview(batch.lines), batch.spans, positions, "$", stored=stored)
            yield from split_oversized(chunk, limit)

    def read_again(
        self, path: str, source: str, locations: Sequence[tuple[int, int]], /
    ) -> tuple[bytes, list[tuple[int, int]]]:
        """Return chosen rows, which should be in order, by their numbers.

        Raises:
            SourceError: The table cannot be read.
        """
        cursor = _cursor(path, source, self.columns)
        data = bytearray()
        spans: list[tuple[int, int]] = []
        for row, _ in locations:
            line = cursor.row(row)
            spans.append((len(data), len(data) + len(line)))
            data += line
        return bytes(data), spans


class _Table:
    """An open table: Parquet, or Arrow IPC as a file or a stream.

    Attributes:
        names: Its columns.
        sizes: The bytes of each unit in the file, about.
        rows: The number of rows of each unit; of a stream, which is one unit, that is not known.
    """

    def __init__(self, path: str) -> None:
        self._file = store_for(path).open(path)
        self._size = store_for(path).status(path).size
        try:
            self._open()
        except BaseException:
            self._file.close()
            raise

    @property
    def rows_at_once(self) -> int:
        """How many rows a batch has: some megabytes, as far as the file tells."""
        rows = sum(self.rows)
        if not (self._parquet and rows):
            return _MOST_ROWS
        groups = (self._parquet.metadata.row_group(unit) for unit in range(len(self.rows)))
        size: int = sum(group.total_byte_size for group in groups)
        return max(1, min(_MOST_ROWS, _BATCH_BYTES * rows // max(size, 1)))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _open(self) -> None:
        import pyarrow as pa  # noqa: PLC0415 - a process that only hands out work need not wait for it
        from pyarrow import parquet  # noqa: PLC0415 - as above

        magic = self._file.read(len(_IPC_FILE))
        self._file.seek(0)
        self._parquet = parquet.ParquetFile(self._file) if magic.startswith(_PARQUET) else None
        self._ipc: Any = pa.ipc.open_file(self._file) if magic.startswith(_IPC_FILE) else None
        self._stream: Any = None if self._parquet or self._ipc else pa.ipc.open_stream(self._file)
        opened: Any = self._ipc or self._stream
        self.names: list[str] = (self._parquet.schema_arrow if self._parquet else opened.schema).names
        self.sizes: list[int] = [self._size]
        self.rows: list[int] = [0]
        if self._parquet:
            groups = [self._parquet.metadata.row_group(i) for i in range(self._parquet.num_row_groups)]
            self.sizes = [sum(g.column(i).total_compressed_size for i in range(g.num_columns)) for g in groups]
            self.rows = [group.num_rows for group in groups]
        elif self._ipc and self._ipc.num_record_batches:
            count = self._ipc.num_record_batches
            self.sizes = [self._size // count] * count
            self.rows = [self._ipc.get_batch(unit).num_rows for unit in range(count)]

    def batches(
        self, columns: Sequence[str] | None, start: int, end: int | None, rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of some units, at most so many at a time."""
        wanted = None if columns is None else [name for name in self.names if name in columns]
        if self._parquet:
            units = list(range(start, len(self.sizes) if end is None else end))
            yield from self._parquet.iter_batches(rows, row_groups=units, columns=wanted, use_threads=False)
            return
        if self._ipc:
            last = self._ipc.num_record_batches if end is None else min(end, self._ipc.num_record_batches)
            whole: Iterator[Any] = (self._ipc.get_batch(unit) for unit in range(start, last))
        else:
            whole = iter(self._stream or ())
        for batch in whole:
            taken = batch if wanted is None else batch.select(wanted)
            for offset in range(0, taken.num_rows, rows):
                yield taken.slice(offset, rows)


def _batches(path: str, source: str, columns: Sequence[str] | None, start: int, end: int | None) -> Iterator[_Batch]:
    with _as_source_error(source), closing(_Table(path)) as table:
        first = sum(table.rows[:start])
        rows = 64
        for batch in table.batches(columns, start, end, table.rows_at_once):
            at = 0
            while at < batch.num_rows:
                made = _as_json(source, batch.slice(at, rows), first + at)
                yield made
                at += rows
                per_row = max(len(made.lines) // max(len(made.spans), 1), 1)
                rows = min(max(CHUNK_BYTES // per_row, 1), _MOST_ROWS)
            first += batch.num_rows


def _as_json(source: str, batch: pa.RecordBatch, first: int) -> _Batch:
    import polars as pl  # noqa: PLC0415 - a process that only hands out work need not wait for it
    import pyarrow as pa  # noqa: PLC0415 - as above

    from polars_export.sources.json_able import json_able  # noqa: PLC0415 - as above

    arrays = [a.storage if isinstance(a, pa.ExtensionArray) else a for a in batch.columns]
    buffer = io.BytesIO()
    try:
        json_able(pl.DataFrame(pa.table(arrays, names=batch.schema.names))).write_ndjson(buffer)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise SourceError(source, f"expected columns that JSON can hold ({error})") from None
    lines = buffer.getvalue()
    ends = _line_ends(lines)
    starts = [0, *(end + 1 for end in ends[:-1])]
    return _Batch(first, lines, list(zip(starts, ends, strict=True)) if ends else [])


def _line_ends(lines: bytes) -> list[int]:
    ends: list[int] = []
    at = lines.find(b"\n")
    while at >= 0:
        ends.append(at)
        at = lines.find(b"\n", at + 1)
    return ends


class _Cursor:
    """Reads rows of a table by their numbers: quickly where these ascend."""

    def __init__(self, path: str, source: str, columns: tuple[str, ...] | None) -> None:
        self._path, self._source, self._columns = path, source, columns
        with _as_source_error(source), closing(_Table(path)) as table:
            self._ends = list(accumulate(table.rows))
        self._batches: Iterator[_Batch] = iter(())
        self._batch = _Batch(0, b"", [])
        self._reaches = 0  # up to which row the batches go on without a gap

    def row(self, number: int) -> bytes:
        """Return a row as a line of JSON."""
        unit = bisect_right(self._ends, number) if self._ends[-1] else 0
        behind = self._batch.first + len(self._batch.spans)
        if number < self._batch.first or (number >= behind and self._is_far(behind, unit)):
            self._batches = _batches(self._path, self._source, self._columns, unit, None)
            self._batch = _Batch(0, b"", [])
        while not self._batch.first <= number < self._batch.first + len(self._batch.spans):
            found = next(self._batches, None)
            if found is None:
                raise SourceError(self._source, "became shorter while it was read")
            self._batch = found
        start, end = self._batch.spans[number - self._batch.first]
        return self._batch.lines[start:end]

    def _is_far(self, at: int, unit: int) -> bool:
        """Return whether whole units lie between a row and a unit, or nothing is read yet."""
        return not self._batch.spans or unit > bisect_right(self._ends, at) + 1


@lru_cache(maxsize=4)
def _cursor(path: str, source: str, columns: tuple[str, ...] | None) -> _Cursor:
    return _Cursor(path, source, columns)


@contextmanager
def _as_source_error(source: str) -> Iterator[None]:
    """Raise what Arrow raises of a damaged table as an error that names the source.

    Raises:
        SourceError: The table cannot be read.
    """
    import pyarrow as pa  # noqa: PLC0415 - a process that only hands out work need not wait for it

    try:
        with as_source_error(source):
            yield
    except pa.ArrowException as error:
        raise SourceError(source, f"damaged table: {error}") from None
