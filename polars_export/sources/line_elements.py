"""JSON lines that each hold several records: the elements of an array in the line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import msgspec

from polars_export.errors import BadRecordError, SourceError
from polars_export.sources.chunk import Chunk
from polars_export.sources.json_lines import line_chunks, skip_line
from polars_export.sources.segments import size_of
from polars_export.sources.store import as_source_error, store_for
from polars_export.sources.stream import ByteStream
from polars_export.sources.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["LineElements"]

_UNIT_BYTES = 32 << 20  # lines that begin in so many bytes can be read on their own
_MOST_ELEMENTS = 1 << 20  # of a line; a location has the offset of the line and the number of the element

_decode_line = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class LineElements:
    """The elements of an array in each line are the records.

    A record is the line with only one element in the array, and with only some of the other keys.

    Attributes:
        array: The key of the array.
        keys: The other keys that a record keeps.
    """

    array: str
    keys: tuple[str, ...]
    is_stream: ClassVar[bool] = False

    def cut(self, path: str, part_bytes: int, /) -> list[tuple[int, int, int]]:
        """Return ranges of bytes, as numbers of units of a fixed size."""
        size, units = size_of(path), max(part_bytes // _UNIT_BYTES, 1)
        count = max(-(-size // _UNIT_BYTES), 1)
        ends = [min(start + units, count) for start in range(0, count, units)]
        return [
            (start, end, min(end * _UNIT_BYTES, size) - start * _UNIT_BYTES)
            for start, end in zip(range(0, count, units), ends, strict=True)
        ]

    def units(self, path: str, source: str, start: int, end: int | None, limit: int, /) -> Iterator[Chunk]:
        """Yield the records of the lines that begin in some units, those of a line as a chunk.

        Raises:
            SourceError: The file cannot be read.
            BadRecordError: A line is not what it should be.
        """
        first = start * _UNIT_BYTES
        last = None if end is None or end * _UNIT_BYTES >= size_of(path) else end * _UNIT_BYTES
        with ByteStream(path, max(first - 1, 0)) as stream:
            window = Window(stream, limit)
            if first and not skip_line(window, last):
                return
            for chunk in line_chunks(window, last):
                if chunk.oversized:
                    yield chunk
                    continue
                for index, (begin, stop) in enumerate(chunk.spans):
                    yield self._records(source, chunk.data[begin:stop], chunk.offset + begin, chunk.line(index) or 0)

    def read_again(
        self, path: str, source: str, locations: Sequence[tuple[int, int]], /
    ) -> tuple[bytes, list[tuple[int, int]]]:
        """Return chosen records by the offsets of their lines and their numbers there.

        Raises:
            SourceError: The file cannot be read, or has changed.
        """
        data, spans = bytearray(), []
        for location, length in locations:
            offset, number = divmod(location, _MOST_ELEMENTS)
            with as_source_error(source):
                line = store_for(path).read_ranges(path, [(offset, length)])
            try:
                found = self._records(source, memoryview(line), offset, 0)
            except BadRecordError as error:
                raise SourceError(source, "has changed while it was read") from error
            start, end = found.spans[number]
            spans.append((len(data), len(data) + end - start))
            data += found.data[start:end]
        return bytes(data), spans

    def _records(self, source: str, line: memoryview, offset: int, number: int) -> Chunk:
        try:
            fields = _decode_line(line)
            elements = _decode_array(fields.get(self.array, b"[]"))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadRecordError(
                source, number, "$", f"a line with an array `{self.array}`", f"another ({error})"
            ) from None
        kept = b"".join(b'"%s":%s,' % (key.encode(), bytes(fields[key])) for key in self.keys if key in fields)
        data, spans = bytearray(), []
        for element in elements:
            record = b"{" + kept + b'"%s":[%s]}' % (self.array.encode(), bytes(element))
            spans.append((len(data), len(data) + len(record)))
            data += record
        stored = [(offset * _MOST_ELEMENTS + place, len(line)) for place in range(len(spans))]
        return Chunk(source, memoryview(data), spans, [number] * len(spans), stored=stored)
