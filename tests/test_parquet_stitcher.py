"""Row groups encoded apart from each other make one file that every reader takes for one written at once."""

from __future__ import annotations

import ast
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polars_export.writers import thrift
from polars_export.writers.parquet_stitcher import ParquetStitcher
from tests.row_groups import (
    CHUNKS,
    HUB,
    PAGES,
    PLAIN,
    SCHEMA,
    SETTINGS,
    as_table,
    changed,
    column_chunks,
    encoded,
    encoded_footer,
    parts,
    read,
    records,
    row_groups,
    stitched,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from polars_export.writers.thrift import Struct
    from tests.row_groups import (
        Settings,
    )


@pytest.mark.parametrize("options", SETTINGS.values(), ids=SETTINGS)
def test_the_rows_are_those_of_the_parts(options: Settings) -> None:
    tables = parts(100, 1, 250)
    table = read(stitched(encoded(part, **options) for part in tables))
    table.validate(full=True)
    assert table.equals(pa.concat_tables(tables))


@pytest.mark.parametrize("options", [SETTINGS[name] for name in SETTINGS if "content" not in name])
def test_the_file_is_byte_for_byte_what_one_writer_writes(options: Settings) -> None:
    tables = parts(100, 1, 250)  # page boundaries that follow the content depend on the row group before
    assert stitched(encoded(part, **options) for part in tables) == encoded(*tables, **options)


@pytest.mark.parametrize("options", SETTINGS.values(), ids=SETTINGS)
def test_one_file_comes_out_as_it_went_in(options: Settings) -> None:
    for file in (encoded(*parts(200), **options), encoded(*parts(30, 200, 1), **options)):
        assert stitched([file]) == file


def test_fifty_files_are_fifty_row_groups() -> None:
    tables = parts(*range(1, 51))
    file = stitched(encoded(part, **HUB) for part in tables)
    metadata = pq.read_metadata(io.BytesIO(file))
    assert metadata.num_rows == sum(range(1, 51))
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == list(range(1, 51))
    assert read(file).equals(pa.concat_tables(tables))


def test_files_may_have_several_row_groups_or_none() -> None:
    first, second, third, fourth = parts(20, 30, 40, 50)
    file = stitched([encoded(), encoded(first, second), encoded(), encoded(third), encoded(fourth), encoded()])
    assert file == encoded(first, second, third, fourth)


def test_no_rows_keep_their_schema() -> None:
    assert read(stitched([encoded()])).schema == SCHEMA
    assert read(stitched([encoded(records(0, 0)), encoded(records(0, 0))])).equals(records(0, 0))


def test_what_was_stitched_can_be_stitched() -> None:
    tables = parts(20, 30, 40)
    one, two, three = (encoded(part) for part in tables)
    assert stitched([stitched([one, two]), three]) == encoded(*tables)


def test_schema_and_key_values_are_those_of_the_first_file() -> None:
    metadata = pq.read_metadata(io.BytesIO(stitched(encoded(part, **HUB) for part in parts(20, 20))))
    assert metadata.schema.to_arrow_schema().equals(SCHEMA, check_metadata=False)
    assert metadata.schema.to_arrow_schema().field("extra").type == pa.json_()
    assert metadata.schema.to_arrow_schema().field("tools").type == pa.list_(pa.json_())
    assert metadata.metadata[b"content_defined_chunking"] == b"as ever"
    assert metadata.created_by.startswith("parquet-cpp")


@pytest.mark.parametrize("options", SETTINGS.values(), ids=SETTINGS)
def test_statistics_are_those_of_the_parts(options: Settings) -> None:
    files = [encoded(part, **options) for part in parts(100, 1, 250)]
    metadata = pq.read_metadata(io.BytesIO(stitched(files)))
    for index, file in enumerate(files):
        of_part = pq.read_metadata(io.BytesIO(file)).row_group(0)
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(index).column(column)
            assert chunk.statistics == of_part.column(column).statistics
            assert chunk.has_column_index == of_part.column(column).has_column_index
            assert chunk.has_offset_index == of_part.column(column).has_offset_index == options["write_page_index"]


@pytest.mark.parametrize("options", [HUB, PAGES, CHUNKS], ids=["hub", "several-pages", "content-defined-pages"])
def test_page_indexes_lead_to_the_pages(options: Settings) -> None:
    file = stitched(encoded(part, **options) for part in parts(100, 1, 250))
    most = 0
    for chunk in column_chunks(thrift.decode(encoded_footer(file))[0]):
        metadata, index_start, index_length = (chunk[field][1] for field in (3, 4, 5))
        index, end = thrift.decode(file, index_start)
        assert end == index_start + index_length
        position = metadata[9][1]  # of the first data page
        for page in index[1][1].values:
            assert page[1][1] == position
            header, data = thrift.decode(file, position)
            assert page[2][1] == data - position + header[3][1]
            position = data + header[3][1]
        start = metadata[11][1] if 11 in metadata else metadata[9][1]  # the dictionary, if any, comes first
        assert position == start + metadata[7][1]
        most = max(most, len(index[1][1].values))
    assert most > 1 or options is HUB


@pytest.mark.parametrize("options", [HUB, PAGES, CHUNKS], ids=["hub", "several-pages", "content-defined-pages"])
def test_column_indexes_are_those_of_the_parts(options: Settings) -> None:
    def column_indexes(file: bytes) -> list[bytes]:
        footer, _ = thrift.decode(encoded_footer(file))
        return [file[chunk[6][1] :][: chunk[7][1]] for chunk in column_chunks(footer) if 6 in chunk]

    files = [encoded(part, **options) for part in parts(100, 1, 250)]
    assert column_indexes(stitched(files)) == [index for file in files for index in column_indexes(file)]


def test_other_buffers_than_bytes_are_taken() -> None:
    first, second = (encoded(part) for part in parts(10, 20))
    shared = bytearray(b"x" * 3 + second + b"x" * 100)  # a shared memory is longer than what it holds
    file = stitched([memoryview(pa.py_buffer(first)), memoryview(shared)[3 : 3 + len(second)]])
    assert file == stitched([first, second])
    shared.clear()  # which fails while somebody looks at it


def test_a_file_need_only_be_written_to_and_stays_open() -> None:
    class Sink(io.RawIOBase):
        def __init__(self) -> None:
            self.written: list[bytes] = []

        def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
            self.written.append(bytes(data))
            return len(data)

    sink, files = Sink(), [encoded(part) for part in parts(10, 20)]
    stitcher = ParquetStitcher(sink)  # type: ignore[arg-type] # of which it is to use `write` alone
    for file in files:
        stitcher.add(file)
    stitcher.close()
    assert not sink.closed
    assert b"".join(sink.written) == stitched(files)


OTHER_SCHEMAS = {
    "name": pa.schema({"b": pa.int64()}),
    "type": pa.schema({"a": pa.int32()}),
    "required": pa.schema([pa.field("a", pa.int64(), nullable=False)]),
    "more": pa.schema({"a": pa.int64(), "b": pa.int64()}),
    "fewer": pa.schema([]),
}


def test_another_schema_is_refused_and_nothing_of_it_is_written() -> None:
    schema = pa.schema({"a": pa.int64()})
    first, second = (encoded(pa.table({"a": [number]}, schema), schema=schema) for number in (1, 2))
    buffer = io.BytesIO()
    stitcher = ParquetStitcher(buffer)
    stitcher.add(first)
    for other in OTHER_SCHEMAS.values():
        with pytest.raises(ValueError, match="another schema"):
            stitcher.add(encoded(other.empty_table(), schema=other))
    stitcher.add(second)
    stitcher.close()
    assert buffer.getvalue() == stitched([first, second])


def test_json_is_another_schema_than_text() -> None:
    files = [encoded(schema=pa.schema({"a": kind})) for kind in (pa.json_(), pa.string())]
    with pytest.raises(ValueError, match="another schema"):
        stitched(files)


def test_what_is_no_complete_file_is_refused() -> None:
    file = encoded(*parts(3))
    for wrong in (
        b"",
        b"PAR1",
        b"PAR1PAR1",
        b"PAR1\0\0\0\0PAR1",
        file[:-1],
        file[1:],
        file[:-20],
        file[-40:],
        b"PAR1" + file[-8:],
    ):
        with pytest.raises(ValueError, match=r"complete|cut off|not supported"):
            stitched([wrong])


def add_to_a_chunk(field: int, kind: int, value: object) -> Callable[[Struct], None]:
    def change(footer: Struct) -> None:
        list(column_chunks(footer))[-1][field] = kind, value

    return change


def add_a_bloom_filter(footer: Struct) -> None:
    list(column_chunks(footer))[-1][3][1][14] = thrift.I64, 4


def encrypt(footer: Struct) -> None:
    footer[8] = thrift.STRUCT, {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (add_a_bloom_filter, "Bloom"),
        (encrypt, "encrypted"),
        (add_to_a_chunk(1, thrift.BINARY, b"other.parquet"), "files of their own"),
    ],
)
def test_what_cannot_be_moved_is_refused(change: Callable[[Struct], None], message: str) -> None:
    file = changed(encoded(*parts(3)), change)
    with pytest.raises(ValueError, match=message):
        stitched([file])


def test_a_stitcher_without_files_has_no_schema() -> None:
    with pytest.raises(ValueError, match="schema"):
        stitched([])


def test_row_groups_are_numbered_as_far_as_their_numbers_go() -> None:
    def repeat(footer: Struct) -> None:
        row_group = row_groups(footer)[0] | {7: (thrift.I16, 0), 1: (thrift.LIST, thrift.List(thrift.STRUCT, []))}
        footer[4] = thrift.LIST, thrift.List(thrift.STRUCT, [row_group] * 20_000)

    file = changed(encoded(*parts(1)), repeat)
    footer, _ = thrift.decode(encoded_footer(stitched([file, file])))
    ordinals = [group[7][1] if 7 in group else None for group in row_groups(footer)]
    assert ordinals == [*range(1 << 15), *[None] * (40_000 - (1 << 15))]


def test_fields_of_a_later_parquet_survive() -> None:
    def add(footer: Struct) -> None:
        footer[1000] = thrift.BINARY, b"footer"
        for row_group in row_groups(footer):
            row_group[30] = thrift.SET, thrift.List(thrift.I16, [-1, 2])
        for chunk in column_chunks(footer):
            chunk[12] = thrift.DOUBLE, 0.5
            chunk[3][1][40] = thrift.STRUCT, {7: (thrift.BOOL, False)}

    files = [changed(encoded(part), add) for part in parts(10, 20)]
    assert stitched(files) == changed(encoded(*parts(10, 20)), add)


def test_positions_that_pyarrow_leaves_out_are_moved_too() -> None:
    def add(footer: Struct) -> None:
        for chunk in column_chunks(footer):
            metadata = chunk[3][1]
            chunk[2] = metadata[10] = metadata[9]

    files = [changed(encoded(part), add) for part in parts(10, 20)]
    assert stitched(files) == changed(encoded(*parts(10, 20)), add)


def values_of(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_struct(kind):
        return st.none() | st.fixed_dictionaries({field.name: values_of(field.type) for field in kind})
    if pa.types.is_list(kind):
        return st.none() | st.lists(values_of(kind.value_type), max_size=3)
    return st.none() | SCALARS[kind]


SCALARS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.bool_(): st.booleans(),
    pa.int8(): st.integers(-128, 127),
    pa.uint16(): st.integers(0, 65535),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.string(): st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    pa.binary(): st.binary(max_size=20),
    pa.date32(): st.dates(),
    pa.timestamp("us", "UTC"): st.integers(-(2**60), 2**60),
    pa.time32("ms"): st.integers(0, 1000),
    pa.decimal128(9, 2): st.decimals(-1000, 1000, places=2),
    pa.json_(): st.sampled_from(['{"a": [1]}', "null", '"é"']),
}
TYPES = st.recursive(
    st.sampled_from(list(SCALARS)),
    lambda kinds: (
        kinds.map(pa.list_)
        | st.lists(kinds, min_size=1, max_size=3).map(
            lambda some: pa.struct({f"f{i}": kind for i, kind in enumerate(some)})
        )
    ),
    max_leaves=4,
)


@st.composite
def tables_of_one_schema(draw: st.DrawFn) -> list[pa.Table]:
    """Return up to four tables of one schema."""
    schema = pa.schema({f"c{index}": kind for index, kind in enumerate(draw(st.lists(TYPES, min_size=1, max_size=3)))})
    rows = st.lists(st.fixed_dictionaries({field.name: values_of(field.type) for field in schema}), max_size=30)
    return [as_table(some, schema) for some in draw(st.lists(rows, min_size=1, max_size=4))]


@given(
    tables_of_one_schema(),
    st.sampled_from([HUB, PAGES, PAGES | {"write_statistics": False}, PLAIN | {"write_page_index": False}]),
)
def test_any_table_comes_out_as_it_went_in(some: list[pa.Table], options: Settings) -> None:
    files = [encoded(table, schema=table.schema, **options) for table in some]
    for file in files:
        footer, end = thrift.decode(encoded_footer(file))
        assert end == len(encoded_footer(file))
        assert thrift.encode(footer) == encoded_footer(file)
    got = stitched(files)
    assert read(got).equals(pa.concat_tables(some))
    assert got == encoded(*some, schema=some[0].schema, **options)


@pytest.mark.parametrize("name", ["parquet_stitcher", "thrift"])
def test_stitching_needs_the_standard_library_alone(name: str) -> None:
    path = Path(__file__).parents[1] / f"polars_export/writers/{name}.py"
    allowed = {*sys.stdlib_module_names, "polars_export.writers", "polars_export.writers.thrift"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= allowed
        if isinstance(node, ast.ImportFrom):
            assert node.module in allowed or (node.module or "").partition(".")[0] in sys.stdlib_module_names
