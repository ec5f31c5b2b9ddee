"""One Parquet file from row groups that were encoded apart from each other, without decoding them.

Nothing but the standard library, so that a process which only stitches starts fast. What the fields mean, and which of
them are positions in the file: https://github.com/apache/parquet-format, in src/main/thrift/parquet.thrift. Where the
page indexes lie: PageIndex.md, in the same place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from polars_export.writers import thrift

if TYPE_CHECKING:
    from polars_export.writers.thrift import Struct

__all__ = ["ParquetStitcher", "end_of"]

_MAGIC = b"PAR1"
_TAIL = 4 + len(_MAGIC)  # the length of the footer and the magic, which end a file
_LAST_ORDINAL = (1 << 15) - 1  # the field has 16 bits


class _FileMetaData:
    SCHEMA = 2
    NUM_ROWS = 3
    ROW_GROUPS = 4
    ENCRYPTION_ALGORITHM = 8


class _RowGroup:
    COLUMNS = 1
    FILE_OFFSET = 5
    ORDINAL = 7


class _ColumnChunk:
    FILE_PATH = 1
    FILE_OFFSET = 2
    META_DATA = 3
    OFFSET_INDEX = (4, 5)  # its position and its length
    COLUMN_INDEX = (6, 7)


class _ColumnMetaData:
    DATA_PAGE_OFFSET = 9
    INDEX_PAGE_OFFSET = 10
    DICTIONARY_PAGE_OFFSET = 11
    BLOOM_FILTER_OFFSET = 14


class _OffsetIndex:
    PAGE_LOCATIONS = 1


class _PageLocation:
    OFFSET = 1


_INDEXES = (_ColumnChunk.COLUMN_INDEX, _ColumnChunk.OFFSET_INDEX)


class _Chunk(NamedTuple):
    """A column chunk that was copied, and its page indexes, which are yet to be; empty if it has none."""

    fields: Struct
    column_index: bytes
    offset_index: bytes


class ParquetStitcher:
    """Puts row groups, each encoded as a Parquet file of its own, one behind the other into one file.

    The file is new, and takes whole what it is given, as buffered files do. It is valid Parquet once the stitcher is
    closed; until then the metadata and the page indexes are in memory.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = 0
        self._head = b""  # the encoded footer up to and with the schema, which all files share
        self._footer: Struct = {}  # of the first file
        self._rows = 0
        self._row_groups: list[Struct] = []
        self._chunks: list[_Chunk] = []
        self._write(_MAGIC)

    def add(self, encoded: bytes | memoryview) -> None:
        """Append the row groups of a complete Parquet file, written by pyarrow.

        All files are to be written with the settings of the first, whose key-value metadata become those of the whole.

        Raises:
            ValueError: It has another schema than the first, is encrypted, has Bloom filters or is no complete Parquet
                file. Nothing of it was written.
        """
        data = memoryview(encoded).cast("B")
        footer, footer_start = self._read_footer(data)
        row_groups: list[Struct] = footer[_FileMetaData.ROW_GROUPS][1].values
        columns = _columns(footer)
        pages = data[len(_MAGIC) : _end_of_pages(columns, footer_start)]
        shift = self._size - len(_MAGIC)
        chunks = [_moved(fields, data, shift) for fields in columns]
        for ordinal, row_group in enumerate(row_groups, len(self._row_groups)):
            _shift(row_group, _RowGroup.FILE_OFFSET, shift)
            if ordinal > _LAST_ORDINAL:
                row_group.pop(_RowGroup.ORDINAL, None)
            elif _RowGroup.ORDINAL in row_group:
                row_group[_RowGroup.ORDINAL] = thrift.I16, ordinal
        self._write(pages)
        if not self._head:
            self._footer, self._head = footer, _head(footer)
        self._rows += footer[_FileMetaData.NUM_ROWS][1]
        self._row_groups += row_groups
        self._chunks += chunks

    def close(self) -> None:
        """Write the page indexes and the footer; the file itself stays open.

        Raises:
            ValueError: No file was added, so that there is no schema.
        """
        if not self._head:
            raise ValueError("a Parquet file needs the schema of at least one that was added")
        for chunk in self._chunks:
            self._write_index(chunk.fields, _ColumnChunk.COLUMN_INDEX, chunk.column_index)
        for chunk in self._chunks:
            self._write_index(chunk.fields, _ColumnChunk.OFFSET_INDEX, chunk.offset_index)
        footer = thrift.encode(
            self._footer
            | {
                _FileMetaData.NUM_ROWS: (thrift.I64, self._rows),
                _FileMetaData.ROW_GROUPS: (thrift.LIST, thrift.List(thrift.STRUCT, self._row_groups)),
            }
        )
        self._write(footer + len(footer).to_bytes(4, "little") + _MAGIC)

    def _read_footer(self, data: memoryview) -> tuple[Struct, int]:
        """Return the footer, from the second file on without what comes before the rows, and where it starts."""
        start = _footer_start(data)
        if start < len(_MAGIC) or not data[: len(_MAGIC)] == data[-len(_MAGIC) :] == _MAGIC:
            raise ValueError("not a complete Parquet file")
        encoded = bytes(data[start:-_TAIL])
        if not encoded.startswith(self._head):
            raise ValueError("another schema, or another version of Parquet, than that of the first row groups")
        footer, _ = thrift.decode(encoded, len(self._head), after=_FileMetaData.SCHEMA if self._head else 0)
        if _FileMetaData.ENCRYPTION_ALGORITHM in footer:
            raise ValueError("encrypted columns cannot be moved")
        return footer, start

    def _write_index(self, chunk: Struct, fields: tuple[int, int], index: bytes) -> None:
        if index:
            position, length = fields
            chunk[position] = thrift.I64, self._size
            chunk[length] = thrift.I32, len(index)
            self._write(index)

    def _write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._size += len(data)


def end_of(encoded: bytes) -> bytes:
    """Return what follows the pages in a complete Parquet file: enough to add the file where its pages are already."""
    start = _footer_start(encoded)
    footer, _ = thrift.decode(encoded[start:-_TAIL], 0)
    return encoded[_end_of_pages(_columns(footer), start) :]


def _footer_start(encoded: bytes | memoryview) -> int:
    return len(encoded) - _TAIL - int.from_bytes(encoded[-_TAIL : -len(_MAGIC)], "little")


def _columns(footer: Struct) -> list[Struct]:
    """Return the column chunks of all row groups."""
    return [
        fields for group in footer[_FileMetaData.ROW_GROUPS][1].values for fields in group[_RowGroup.COLUMNS][1].values
    ]


def _head(footer: Struct) -> bytes:
    """Return the encoding of a footer up to and with the schema."""
    fields = {field: value for field, value in footer.items() if field <= _FileMetaData.SCHEMA}
    return thrift.encode(fields)[:-1]  # without the end of the struct


def _end_of_pages(columns: list[Struct], footer_start: int) -> int:
    """Return where the column chunks end: at the first page index, or without any at the footer."""
    starts = [_position(fields, index[0]) for fields in columns for index in _INDEXES]
    return min(filter(None, starts), default=footer_start)


def _moved(fields: Struct, data: memoryview, shift: int) -> _Chunk:
    """Shift every position that a column chunk's metadata and page indexes hold."""
    if _ColumnChunk.FILE_PATH in fields:
        raise ValueError("columns in files of their own cannot be moved")
    _, metadata = fields[_ColumnChunk.META_DATA]
    if _ColumnMetaData.BLOOM_FILTER_OFFSET in metadata:
        raise ValueError("Bloom filters cannot be moved")
    _shift(metadata, _ColumnMetaData.DATA_PAGE_OFFSET, shift)
    _shift(metadata, _ColumnMetaData.INDEX_PAGE_OFFSET, shift)
    _shift(metadata, _ColumnMetaData.DICTIONARY_PAGE_OFFSET, shift)
    _shift(fields, _ColumnChunk.FILE_OFFSET, shift)
    fields[_ColumnChunk.META_DATA] = thrift.STRUCT, thrift.encode(metadata)  # takes a quarter of the memory
    offset_index = _page_index(data, fields, _ColumnChunk.OFFSET_INDEX)
    if offset_index:
        index, _ = thrift.decode(offset_index)
        for location in index[_OffsetIndex.PAGE_LOCATIONS][1].values:
            _shift(location, _PageLocation.OFFSET, shift)
        offset_index = thrift.encode(index)
    return _Chunk(fields, _page_index(data, fields, _ColumnChunk.COLUMN_INDEX), offset_index)


def _page_index(data: memoryview, chunk: Struct, index: tuple[int, int]) -> bytes:
    start = _position(chunk, index[0])
    return bytes(data[start : start + chunk[index[1]][1]]) if start else b""


def _position(fields: Struct, field: int) -> int:
    """Return a position in the file, 0 (where the magic is) for none."""
    return fields[field][1] if field in fields else 0


def _shift(fields: Struct, field: int, shift: int) -> None:
    if position := _position(fields, field):
        fields[field] = thrift.I64, position + shift
