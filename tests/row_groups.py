"""Row groups of tests: encoded apart, put one behind the other, and read again."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polars_export.formats.reference import chatml
from polars_export.options import ExportOptions
from polars_export.writers import thrift
from polars_export.writers.parquet_stitcher import ParquetStitcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from polars_export.writers.thrift import Struct


Settings = dict[str, Any]

# The numbers of fields are those of parquet.thrift: https://github.com/apache/parquet-format

THIRD_PARTY = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of `datasets`

PLAIN: Settings = {"compression": "zstd", "write_page_index": True}
HUB = PLAIN | {
    "use_content_defined_chunking": {"min_chunk_size": 256 << 10, "max_chunk_size": 1 << 20, "norm_level": 0}
}
PAGES = PLAIN | {"data_page_size": 32, "write_batch_size": 8}
CHUNKS = PLAIN | {"use_content_defined_chunking": {"min_chunk_size": 1 << 10, "max_chunk_size": 4 << 10}}
SETTINGS = {
    "plain": PLAIN,
    "hub": HUB,
    "several-pages": PAGES,
    "content-defined-pages": CHUNKS,
    "no-page-index": PLAIN | {"write_page_index": False},
    "some-statistics": PLAIN | {"write_statistics": ["number"]},
    "no-dictionary": PAGES | {"use_dictionary": False, "compression": "none"},
    "pages-of-version-2": PAGES | {"data_page_version": "2.0", "write_page_checksum": True},
    "version-1": PLAIN | {"version": "1.0"},
    "sorted": PLAIN | {"sorting_columns": [pq.SortingColumn(0, descending=True)]},
}

SCHEMA = pa.schema(
    [
        *chatml.schema(ExportOptions("chatml")),
        pa.field("number", pa.int64(), nullable=False),
        pa.field("label", pa.bool_()),
        pa.field("group", pa.string()),
        pa.field("nothing", pa.string()),
        pa.field("extra", pa.json_()),
        pa.field("tools", pa.list_(pa.json_())),
    ]
)


def record(number: int) -> dict[str, Any]:
    call = {"id": f"c{number}", "type": "function", "function": {"name": "look_up", "arguments": '{"a": 1}'}}
    text = hashlib.shake_256(str(number).encode()).hexdigest(number % 200)  # does not compress
    answer = {"role": "assistant", "content": text, "tool_calls": [call] * (number % 3) if number % 2 else None}
    return {
        "messages": [{"role": "user", "content": f"é {number}", "tool_calls": None}, answer][: number % 4],
        "metadata": {"case_id": str(number), "score": number / 7, "model_id": None, "turns": number % 5},
        "number": number,
        "label": (True, False, None)[number % 3],
        "group": "abc"[number % 3],
        "nothing": None,
        "extra": f'{{"n": {number}}}' if number % 4 else None,
        "tools": ['{"name": "look_up"}', None] * (number % 2) if number % 5 else None,
    }


def records(start: int, stop: int) -> pa.Table:
    return as_table([record(number) for number in range(start, stop)], SCHEMA)


def as_table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    text = pa.schema([field.with_type(without_json(field.type)) for field in schema])
    return pa.Table.from_pylist(rows, text).cast(schema)


def without_json(kind: pa.DataType) -> pa.DataType:
    """Return a type that pyarrow makes from Python's objects."""
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(without_json(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(without_json(kind.value_type))
    return pa.string() if kind == pa.json_() else kind


def parts(*sizes: int) -> list[pa.Table]:
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    return [records(start, start + size) for start, size in zip(starts, sizes, strict=True)]


def encoded(*row_groups: pa.Table, schema: pa.Schema = SCHEMA, **options: Any) -> bytes:  # noqa: ANN401 - pyarrow's
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, schema, **(options or PLAIN)) as writer:
        for table in row_groups:
            writer.write_table(table, row_group_size=max(table.num_rows, 1))
        writer.add_key_value_metadata({"content_defined_chunking": "as ever"})
    return buffer.getvalue()


def stitched(files: Iterable[bytes | memoryview]) -> bytes:
    buffer = io.BytesIO()
    stitcher = ParquetStitcher(buffer)
    for file in files:
        stitcher.add(file)
    stitcher.close()
    return buffer.getvalue()


def read(file: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(file))


def encoded_footer(file: bytes) -> bytes:
    length = int.from_bytes(file[-8:-4], "little")
    return file[-8 - length : -8]


def changed(file: bytes, change: Callable[[Struct], None]) -> bytes:
    """Return the file with another footer."""
    old = encoded_footer(file)
    footer, _ = thrift.decode(old)
    change(footer)
    new = thrift.encode(footer)
    return file[: -8 - len(old)] + new + len(new).to_bytes(4, "little") + b"PAR1"


def row_groups(footer: Struct) -> list[Struct]:
    found: list[Struct] = footer[4][1].values
    return found


def column_chunks(footer: Struct) -> Iterator[Struct]:
    for row_group in row_groups(footer):
        yield from row_group[1][1].values
