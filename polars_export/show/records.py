"""Read the records that an export wrote: JSON lines and Parquet, single files and dataset repositories."""

from __future__ import annotations

import os
from itertools import chain, islice
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from polars_export.errors import BadRecordError, SourceError
from polars_export.inputs.detect import starts_with_other_object
from polars_export.json_values import describe_value, parse
from polars_export.show.from_records import record_at
from polars_export.show.record_kinds import holds_messages, is_record
from polars_export.sources.find import walk
from polars_export.sources.json_lines import line_chunks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polars_export.json_values import Json
    from polars_export.show.transcript import Conversation
    from polars_export.sources.chunk import Chunk
    from polars_export.sources.window import Window

__all__ = ["is_parquet", "line_records", "parquet_records", "repository_shards", "starts_with_record"]

_MANIFEST, _DATA = "manifest.json", "data"
_ENDINGS = (".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst")
_FIRST_SPLIT = "train"
_PARQUET = b"PAR1"
_ROWS = 64  # decoded at a time
_EXPECTED = "a record of an export, with messages"


def repository_shards(path: str) -> list[str]:
    """Return the shards of a dataset repository that an export wrote, the split `train` first; none of what is none."""
    folders = list(islice(walk(path), 1))
    if not folders or _MANIFEST not in folders[0][2] or _DATA not in folders[0][1]:
        return []
    data = os.path.join(path, _DATA)  # noqa: PTH118 - as the search of sources joins them
    names = [name for _, _, names in islice(walk(data), 1) for name in names if name.endswith(_ENDINGS)]
    names.sort(key=lambda name: (not name.startswith(_FIRST_SPLIT), name))
    return [os.path.join(data, name) for name in names]  # noqa: PTH118 - as above


def starts_with_record(window: Window) -> bool:
    """Return whether a stream of JSON starts with a line that is a record; the window keeps what it has read."""
    if not starts_with_other_object(window):
        return False
    while (newline := window.data.find(b"\n", window.start, window.end)) < 0 and len(window) <= window.limit:
        if not window.more():
            break
    line = bytes(window.view((newline if newline >= 0 else window.end) - window.start))
    try:
        return is_record(parse(line))
    except ValueError:
        return False


def line_records(window: Window) -> Iterator[Conversation | BadRecordError]:
    """Yield the records of a stream of JSON lines; in the place of one that is invalid, what is wrong with it.

    Raises:
        SourceError: The stream cannot be read on.
    """
    for chunk in line_chunks(window):
        for index in range(len(chunk.spans)):
            yield _line_record(chunk, index)


def parquet_records(path: str, *, is_export: bool) -> Iterator[Conversation] | None:
    """Return the records of a Parquet file; None where it is none, or holds something else.

    Args:
        path: The file.
        is_export: Whether it belongs to a dataset repository: then it is an error if it holds something else.

    Raises:
        SourceError: It cannot be read.
    """
    rows = _rows(path)
    first = next(rows, None)
    if first is None:
        return iter(())
    if not is_record(first) and not holds_messages(first):
        if is_export:
            raise SourceError(path, f"expected {_EXPECTED}, found the columns {', '.join(first)}")
        return None
    return (record_at(row, f"{path}, row {number}") for number, row in enumerate(chain([first], rows), 1))


def is_parquet(window: Window) -> bool:
    """Return whether a stream starts as Parquet does; the window keeps what it has read."""
    while len(window) < len(_PARQUET) and window.more():
        pass
    return bytes(window.view(len(_PARQUET))) == _PARQUET


def _line_record(chunk: Chunk, index: int) -> Conversation | BadRecordError:
    start, end = chunk.spans[index]
    line = chunk.line(index)

    def error(expected: str, found: str) -> BadRecordError:
        return BadRecordError(chunk.source, line, "$", expected, found)

    if chunk.oversized:
        return error(f"a record of at most {chunk.oversized.limit:,} bytes", f"one of {chunk.oversized.size:,} bytes")
    try:
        value: Json = parse(chunk.data[start:end])
    except ValueError as problem:
        return error("valid JSON", f"text that is not ({problem})")
    if not holds_messages(value):
        found = f"an object with {', '.join(value) or 'no keys'}" if isinstance(value, dict) else describe_value(value)
        return error(_EXPECTED, found)
    return record_at(value, f"{chunk.source}:{line}")


def _rows(path: str) -> Iterator[dict[str, Json]]:
    """Yield the rows of a Parquet file, without fields that are null.

    Raises:
        SourceError: It cannot be read.
    """
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_ROWS):
                yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise SourceError(path, f"damaged Parquet: {' '.join(str(error).split())}") from error
