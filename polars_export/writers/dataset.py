"""A dataset repository in a directory: shards under `data/`, what describes them beside it, published in one step."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import secrets
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from polars_export.errors import OptionError, OutputError
from polars_export.writers.disk import flush_to_disk, reported
from polars_export.writers.jsonlines import JsonLinesWriter
from polars_export.writers.parquet import ROW_GROUP_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["ROW_GROUP_BYTES", "DatasetWriter", "Plan", "Shard", "check_directory", "open_dataset", "row_bytes"]

ROW_GROUP_BYTES = 32 << 20
"""Most bytes of a row group, as `row_bytes` counts them, unless one row alone has more. It bounds the memory of a
writer and what a viewer has to fetch to show one row; the hub's gives up at 300 MB."""

_CHUNKING = {"min_chunk_size": 256 << 10, "max_chunk_size": 1 << 20, "norm_level": 0}
"""The page boundaries of `datasets` itself: they follow the content, so that the hub stores an unchanged page once."""

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # <fcntl.h>, <linux/fs.h>


@dataclass(frozen=True, slots=True)
class Plan:
    """How a dataset repository is written.

    Attributes:
        file_type: What the shards are.
        max_shard_bytes: Most bytes of a shard, as `row_bytes` counts them, unless one row alone has more.
        overwrite: Whether a directory that is not empty is replaced.
    """

    file_type: Literal["parquet", "jsonl"]
    max_shard_bytes: int
    overwrite: bool


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of records.

    Attributes:
        path: Where it is, from the directory of the repository.
        split: The split whose records it holds.
        rows: Number of its records, at least one.
        bytes: Size of the file.
        sha256: Hexadecimal digest of the file.
        num_bytes: Size of its records in memory, as `row_bytes` counts them.
    """

    path: str
    split: str
    rows: int
    bytes: int
    sha256: str
    num_bytes: int


def check_directory(output: str, overwrite: bool, sources: Iterable[str] = ()) -> None:  # noqa: FBT001 - as in Plan
    """Complain about a directory that cannot become the dataset before any input is read.

    Raises:
        OptionError: Overwriting would remove one of the sources.
        OutputError: The output is a file, a mount point or, to be overwritten, a git clone; it is not empty and not to
            be overwritten; or its parent does not exist or cannot be written to.
    """
    path = Path(os.path.realpath(output))
    with reported(output):
        if not path.parent.is_dir():
            raise OutputError(output, f"the directory {path.parent} does not exist")
        if not os.access(path.parent, os.W_OK):
            raise OutputError(output, f"the directory {path.parent} cannot be written to")
        if path.exists():
            _check_existing(path, output, overwrite=overwrite)
    for source in sources:
        if source != "-" and Path(os.path.realpath(source)).is_relative_to(path):
            raise OptionError("overwrite", f"would remove the source {source}, which is inside {output}")


def _check_existing(path: Path, output: str, *, overwrite: bool) -> None:
    if not path.is_dir():
        raise OutputError(output, "is a file, not a directory")
    if path.is_mount():  # it cannot be renamed, which would come out only at the very end
        raise OutputError(output, "is a mount point; name a directory inside it")
    if any(path.iterdir()):
        if not overwrite:
            raise OutputError(output, "is a directory that is not empty; --overwrite replaces all of it")
        if (path / ".git").exists():  # the clone of a hub repository: its history would go too
            raise OutputError(output, "is a git clone; export to another directory and copy the files")


@contextmanager
def open_dataset(output: str, schema: pa.Schema, absent: Sequence[str], plan: Plan) -> Iterator[DatasetWriter]:
    """Open a writer whose directory appears under its name, complete and on disk, when the block ends without an error.

    Until then it is a hidden directory beside it, which goes when the block ends with an error. In JSON lines the keys
    named in `absent` are left out where they are null.

    Raises:
        OutputError: It could not be written; or the directory, checked by `check_directory` before, has been filled
            since.
    """
    path = Path(os.path.realpath(output))  # a link stays a link: what it points to is replaced
    work = path.with_name(f".polars-export-{secrets.token_hex(4)}.part")
    with reported(output):
        (work / "data").mkdir(parents=True)
    try:
        writer = DatasetWriter(output, work, schema, absent, plan)
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()
        with reported(output):
            _publish(work, path, overwrite=plan.overwrite)
    finally:
        shutil.rmtree(work, ignore_errors=True)


class DatasetWriter:
    """Writes records into the shards of their split, and texts beside them.

    Where a shard or a row group ends depends on the rows alone, never on how many of them come in one call.
    """

    def __init__(self, output: str, work: Path, schema: pa.Schema, absent: Sequence[str], plan: Plan) -> None:
        self._output = output
        self._work = work
        self._schema = schema
        self._text_schema = pa.schema([_as_text(column) for column in schema])
        self._absent = absent
        self._plan = plan
        self._splits: dict[str, _SplitWriter] = {}
        self._shards: tuple[Shard, ...] | None = None

    def write(self, split: str, records: pa.Table) -> None:
        """Append records to a split; strings may still be views, and JSON may still be strings."""
        with reported(self._output):
            for batch in records.cast(self._text_schema).to_batches():
                if split not in self._splits:
                    stem = self._work / "data" / split
                    self._splits[split] = _SplitWriter(stem, self._schema, self._absent, self._plan)
                self._splits[split].write(batch)

    def finish(self) -> tuple[Shard, ...]:
        """Close the shards, give them their final names and return them: those of `train` first, then by split."""
        if self._shards is None:
            with reported(self._output):
                names = sorted(self._splits, key=lambda split: (split != "train", split))
                self._shards = tuple(shard for split in names for shard in self._finished(split))
        return self._shards

    def _finished(self, split: str) -> Iterator[Shard]:
        self._splits[split].close()
        closed = self._splits[split].closed
        for index, (part, rows, num_bytes) in enumerate(closed):
            name = f"{split}-{index:05d}-of-{len(closed):05d}.{self._plan.file_type}"
            path = part.rename(part.with_name(name))
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            yield Shard(f"data/{name}", split, rows, path.stat().st_size, digest, num_bytes)

    def add_file(self, name: str, text: str) -> None:
        """Write a text beside `data/`."""
        with reported(self._output):
            (self._work / name).write_text(text, encoding="utf-8", newline="\n")

    def close(self) -> None:
        """Let go of the files."""
        for split in self._splits.values():
            with suppress(OSError, ValueError):  # after an error they are about to be removed
                split.close()


class _SplitWriter:
    """Cuts the rows of one split into row groups and shards."""

    def __init__(self, stem: Path, schema: pa.Schema, absent: Sequence[str], plan: Plan) -> None:
        self.closed: list[tuple[Path, int, int]] = []  # file, rows, bytes as `row_bytes` counts them
        self._stem = stem
        self._schema = schema
        self._absent = absent
        self._plan = plan
        self._open: tuple[BinaryIO, _RowGroups | JsonLinesWriter] | None = None
        self._rows = self._bytes = 0
        self._held: list[pa.RecordBatch] = []  # the rows of the open row group
        self._group_rows = self._group_bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        start = 0
        for row, size in enumerate(row_bytes(batch).to_pylist()):
            full_shard = self._rows and self._bytes + size > self._plan.max_shard_bytes
            full_group = self._group_rows == ROW_GROUP_ROWS or self._group_bytes + size > ROW_GROUP_BYTES
            if full_shard or (self._group_rows and full_group):
                self._held.append(batch.slice(start, row - start))
                start = row
                self._end_group()
            if full_shard:
                self._end_shard()
            self._rows += 1
            self._bytes += size
            self._group_rows += 1
            self._group_bytes += size
        self._held.append(batch.slice(start))

    def close(self) -> None:
        if self._group_rows:
            self._end_group()
        self._end_shard()

    def _end_group(self) -> None:
        records = pa.Table.from_batches(self._held).combine_chunks()
        self._held, self._group_rows, self._group_bytes = [], 0, 0
        if self._open is None:
            self._open = self._new_shard()
        self._open[1].write(records)

    def _new_shard(self) -> tuple[BinaryIO, _RowGroups | JsonLinesWriter]:
        file = self._stem.with_name(f"{self._stem.name}-{len(self.closed):05d}").open("xb")
        if self._plan.file_type == "parquet":
            return file, _RowGroups(file, self._schema)
        return file, JsonLinesWriter(file, self._schema, self._absent, None)

    def _end_shard(self) -> None:
        if self._open is not None:
            (file, records), self._open = self._open, None
            with file:
                records.close()
                file.flush()
                os.fsync(file.fileno())
            self.closed.append((Path(file.name), self._rows, self._bytes))
        self._rows = self._bytes = 0


class _RowGroups:
    """Parquet as the hub likes it; every table written is one row group."""

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(
            file, schema, compression="zstd", write_page_index=True, use_content_defined_chunking=_CHUNKING
        )
        self._writer.add_key_value_metadata({"content_defined_chunking": json.dumps(_CHUNKING)})

    def write(self, records: pa.Table) -> None:
        self._writer.write_table(records.cast(self._schema), row_group_size=records.num_rows)

    def close(self) -> None:
        self._writer.close()


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
    boolean 1, a number its width. A null is as large as an empty string, an empty list or any number. Validity bitmaps
    are not counted: their size depends on the neighbours.
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
    return pa.repeat(pa.scalar(max(array.type.bit_width // 8, 1), pa.int64()), len(array))


def _list_ends(array: pa.ListArray) -> pa.Array:
    """Return 0 and where each list ends among the flattened elements, which is not what the offsets of a slice say."""
    ends = pc.cumulative_sum(pc.fill_null(pc.list_value_length(array), 0).cast(pa.int64()))
    return pa.concat_arrays([pa.array([0], pa.int64()), ends])


def _publish(work: Path, path: Path, *, overwrite: bool) -> None:
    for file in work.iterdir():
        flush_to_disk(file)  # `data` among them; the shards are on disk already
    flush_to_disk(work)
    if overwrite and path.is_dir() and any(path.iterdir()):
        _exchange(work, path)
    else:
        work.rename(path)  # takes the place of an empty directory, refuses any other
    flush_to_disk(path.parent)
    if work.exists():
        with reported(f"{work} (which is what {path} was)"):
            shutil.rmtree(work)


def _exchange(new: Path, old: Path) -> None:
    """Swap two directories: in one step where the kernel can, else by renaming, with no directory for an instant."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)  # glibc 2.28
    if renameat2 is not None:
        renameat2.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
        if renameat2(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(old), _RENAME_EXCHANGE) == 0:
            return
    aside = new.with_suffix(".old")
    old.rename(aside)
    try:
        new.rename(old)
    except BaseException:
        aside.rename(old)
        raise
    aside.rename(new)
