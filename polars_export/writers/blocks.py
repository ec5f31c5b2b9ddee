"""Cut records into blocks, encoded pieces of a file that are put one behind the other without being decoded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.compute as pc

from polars_export.writers.disk import os_errors_reported
from polars_export.writers.file_assembler import Block
from polars_export.writers.jsonlines import encode
from polars_export.writers.parquet import encode_row_group
from polars_export.writers.parquet_stitcher import end_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["BLOCK_BYTES", "BLOCK_ROWS", "BlockWriter", "Encoding", "RowGroupWriter", "row_bytes"]

BLOCK_ROWS = 1_000
"""Most rows of a block. A thousand traces are some ten megabytes, which a viewer can fetch to show one of them."""

BLOCK_BYTES = 32 << 20
"""Most bytes of a block, as `row_bytes` counts them, unless one row alone has more. It bounds the memory of a writer
and what a viewer has to fetch to show one row; the hub's gives up at 300 MB."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How records become blocks.

    Attributes:
        schema: Their schema.
        absent: Keys that JSON leaves out where they are null.
        file_type: JSON lines, or Parquet, of which a block is a file of one row group.
        for_hub: Whether the files are those of a dataset repository.
        block_bytes: Most bytes of a block.
    """

    schema: pa.Schema
    absent: tuple[str, ...]
    file_type: Literal["jsonl", "parquet"]
    for_hub: bool = False
    block_bytes: int = BLOCK_BYTES


class BlockWriter:
    """Writes the blocks of one part to a file.

    Where a block ends depends on the rows of the part alone, never on how many of them come in one call; but in a file
    of JSON lines, where it cannot be seen, every call makes a block.

    Raises:
        OutputError: The file could not be written.
    """

    def __init__(self, path: Path, encoding: Encoding, output: str) -> None:
        self.blocks: list[Block] = []
        self._encoding = encoding
        self._text_schema = pa.schema([_as_text(column) for column in encoding.schema])
        self._output = output
        self._cutters: dict[str, _Cutter] = {}
        self._at = 0
        with os_errors_reported(output):
            self._file = path.open("wb")

    def write(self, split: str, records: pa.Table) -> None:
        """Append records to a split; strings may still be views, and JSON may still be strings."""
        if self._encoding.file_type == "jsonl" and not self._encoding.for_hub:
            self._write_block(split, records, 0)
            return
        if split not in self._cutters:
            self._cutters[split] = _Cutter(self._encoding.block_bytes)
        for batch in records.cast(self._text_schema).to_batches():
            for group, num_bytes in self._cutters[split].cut(batch):
                self._write_block(split, group, num_bytes)

    def close(self) -> None:
        """Write what is still held, and close the file."""
        with os_errors_reported(self._output), self._file:
            for split, cutter in self._cutters.items():
                for group, num_bytes in cutter.rest():
                    self._write_block(split, group, num_bytes)

    def _write_block(self, split: str, records: pa.Table, num_bytes: int) -> None:
        encoding = self._encoding
        if encoding.file_type == "jsonl":
            data, end = encode(records, encoding.schema, encoding.absent), b""
        else:
            data = encode_row_group(records, encoding.schema, for_hub=encoding.for_hub)
            end = end_of(data)
        with os_errors_reported(self._output):
            self._file.write(data)
        self.blocks.append(Block(split, self._at, len(data), records.num_rows, num_bytes, end))
        self._at += len(data)


class RowGroupWriter:
    """Writes tables that are cut already, each a block, to the file of one part.

    Raises:
        OutputError: The file could not be written.
    """

    def __init__(self, path: Path, output: str) -> None:
        self.blocks: list[Block] = []
        self._output = output
        self._at = 0
        with os_errors_reported(output):
            self._file = path.open("wb")

    def write(self, split: str, rows: pa.Table, encoding: Encoding) -> None:
        """Append a row group."""
        data = encode_row_group(rows, encoding.schema, for_hub=encoding.for_hub)
        num_bytes = sum(sum(row_bytes(batch).to_pylist()) for batch in rows.to_batches())
        with os_errors_reported(self._output):
            self._file.write(data)
        self.blocks.append(Block(split, self._at, len(data), rows.num_rows, num_bytes, end_of(data)))
        self._at += len(data)

    def close(self) -> None:
        """Close the file."""
        with os_errors_reported(self._output):
            self._file.close()


class _Cutter:
    """Cuts the rows of one split into groups."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def cut(self, batch: pa.RecordBatch) -> Iterator[tuple[pa.Table, int]]:
        """Take rows, and yield the groups that are full with their bytes."""
        start = 0
        for row, size in enumerate(row_bytes(batch).to_pylist()):
            if self._rows and (self._rows == BLOCK_ROWS or self._bytes + size > self._most_bytes):
                self._held.append(batch.slice(start, row - start))
                start = row
                yield from self.rest()
            self._rows += 1
            self._bytes += size
        self._held.append(batch.slice(start))

    def rest(self) -> Iterator[tuple[pa.Table, int]]:
        """Yield the rows that are held as a last group."""
        if self._rows:
            group = pa.Table.from_batches(self._held).combine_chunks(), self._bytes
            self._held, self._rows, self._bytes = [], 0, 0
            yield group


def _as_text(column: pa.Field) -> pa.Field:
    """Return a column with strings for JSON: pyarrow cannot flatten lists that hold no element of an extension type."""
    kind = column.type
    if isinstance(kind, pa.JsonType):
        return column.with_type(pa.string())
    if pa.types.is_struct(kind):
        return column.with_type(pa.struct([_as_text(part) for part in kind]))
    if pa.types.is_list(kind):
        return column.with_type(pa.list_(_as_text(kind.value_field)))
    return column


def row_bytes(batch: pa.RecordBatch) -> pa.Array:
    """Return the size of every row in bytes: what its values take in Arrow, so that it depends on nothing but the row.

    A string is its UTF-8 bytes plus 4 for the offset, JSON the same, a list its elements plus 4, a struct its fields, a
    boolean 1, a number its width. A null is as large as an empty string or list; a number that is null takes nothing.
    Validity bitmaps are not counted: their size depends on the neighbours.
    """
    return _value_bytes(batch.to_struct_array())


def _value_bytes(array: pa.Array) -> pa.Array:
    if pa.types.is_struct(array.type):
        return reduce(pc.add, map(_value_bytes, array.flatten()), pa.repeat(pa.scalar(0, pa.int64()), len(array)))
    if pa.types.is_list(array.type):
        ends = _list_ends(array)
        sums = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(_value_bytes(array.flatten()))])
        return pc.add(pc.subtract(sums.take(ends.slice(1)), sums.take(ends.slice(0, len(array)))), 4)
    if pa.types.is_string(array.type):
        return pc.add(pc.fill_null(pc.binary_length(array), 0).cast(pa.int64()), 4)
    width = pa.scalar(max(array.type.bit_width // 8, 1), pa.int64())
    if array.null_count:
        return pc.if_else(array.is_valid(), width, pa.scalar(0, pa.int64()))
    return pa.repeat(width, len(array))


def _list_ends(array: pa.ListArray) -> pa.Array:
    """Return 0 and where each list ends among the flattened elements, which is not what the offsets of a slice say."""
    ends = pc.cumulative_sum(pc.fill_null(pc.list_value_length(array), 0).cast(pa.int64()))
    return pa.concat_arrays([pa.array([0], pa.int64()), ends])
