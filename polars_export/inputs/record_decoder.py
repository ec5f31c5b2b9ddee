"""Decode records one by one, as a dialect understands them: what most recorders' modules consist of."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import msgspec
from msgspec.structs import fields

from polars_export.inputs.decoding import Decoded, bad_record, decode_each, from_deeper, reject_oversized
from polars_export.json_values import Mismatch, first_mismatch, parse
from polars_export.messages.flatten import Flattener, outline_columns
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.json_text import to_text
from polars_export.messages.placement import PlacedMessages
from polars_export.process import pause_gc
from polars_export.tables.columns import Columns
from polars_export.tables.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from polars_export.json_values import Json
    from polars_export.messages.records import Trace
    from polars_export.sources.chunk import Chunk

__all__ = ["MultiTraceDecoder", "RecordDecoder", "RecordParser", "RecordPlace", "parse_lenient"]

_R = TypeVar("_R", bound=msgspec.Struct)
_T = TypeVar("_T")

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_TO_COLUMNS = 8  # up to Python 3.11 the calls under way take from how deep a value may be nested


class RecordPlace(NamedTuple):
    """Where a record stands.

    Attributes:
        source: The source, as in messages.
        path: The JSON path of the record.
        name: A name for its case, where it names none: its file and where in it the record begins.
        header: As in the chunk.
    """

    source: str
    path: str
    name: str
    header: str | None


class _Decoder(Generic[_R, _T]):
    """Decodes records into a type with the fields that are needed; all others are skipped undecoded.

    A document that holds NaN or Infinity, which Python writes although JSON has none, is read by a slower way; the
    numbers then are what the dialect makes of them.

    Args:
        record_type: The fields that the dialect needs; any value may stand in them, so that `understand` checks them.
        understand: Returns the trace of a record, or its traces. Raises an InvalidRecordError for one that is none.
        projection: Which columns are wanted.
        sort_arguments: Whether the keys of tool-call arguments are sorted; see `Dialect.decoder`.
    """

    def __init__(
        self,
        record_type: type[_R],
        understand: Callable[[_R, RecordPlace], _T],
        projection: Projection,
        *,
        sort_arguments: bool = False,
    ) -> None:
        self._parse = RecordParser(record_type)
        self._understand = understand
        self._is_outline = projection is Projection.SELECTION
        self._flattener = Flattener(projection, sort_arguments=sort_arguments)

    def _columns(self, traces: Sequence[Trace]) -> Columns:
        if not self._is_outline:
            return self._flattener.columns(traces)
        placed = PlacedMessages()
        return Columns(outline_columns(traces, [placed.add(trace.messages) for trace in traces]))

    def _one(self, chunk: Chunk, index: int) -> _T:
        begin, end = chunk.spans[index]
        start = chunk.stored[index][0] if chunk.stored is not None else chunk.offset + begin
        source = chunk.source.encode("utf-8", "backslashreplace").decode()
        place = RecordPlace(chunk.source, chunk.json_path(index), f"{source}@{start}", chunk.header)
        try:
            return from_deeper(
                _TO_COLUMNS, lambda: self._understand(self._parse(chunk.data[begin:end], place.path), place)
            )
        except InvalidRecordError as error:
            raise bad_record(chunk, index, error.mismatch) from None


class RecordDecoder(_Decoder[_R, "Trace"]):
    """Decodes records of one trace each."""

    def decode(self, chunk: Chunk, /) -> Decoded:
        """Decode the records of a chunk; set aside what is no trace."""
        with pause_gc():
            chunk, rejected = reject_oversized(chunk)
            chunk, traces, invalid = decode_each(chunk, self._one)
            return Decoded(chunk, self._columns(traces), [*rejected, *invalid])


class MultiTraceDecoder(_Decoder[_R, "Sequence[Trace]"]):
    """Decodes records that may hold several traces; they have at least one."""

    def decode(self, chunk: Chunk, /) -> Decoded:
        """Decode all traces of the records of a chunk, or those that it names; set aside what holds none."""
        with pause_gc():
            chunk, rejected = reject_oversized(chunk)
            if chunk.parts is None:
                chunk, found, invalid = decode_each(chunk, self._one)
                traces = [trace for of_record in found for trace in of_record]
                return Decoded(chunk.by_trace([*map(len, found)]), self._columns(traces), [*rejected, *invalid])
            chunk, traces, invalid = decode_each(chunk, self._by_part(chunk.traces()))
            return Decoded(chunk, self._columns(traces), [*rejected, *invalid])

    def _by_part(self, wanted: Sequence[tuple[tuple[int, int], int]]) -> Callable[[Chunk, int], Trace]:
        """Return what decodes the trace of an index; each record is decoded once."""
        known: dict[tuple[int, int], Sequence[Trace]] = {}

        def decode(chunk: Chunk, index: int) -> Trace:
            span, part = wanted[index]
            if span not in known:
                known[span] = self._one(chunk, index)
            if part >= len(known[span]):
                expected, found = f"at least {part + 1} traces", f"{len(known[span])}: it has changed"
                raise bad_record(chunk, index, Mismatch(chunk.json_path(index), expected, found))
            return known[span][part]

        return decode


class RecordParser(Generic[_R]):
    """Decodes JSON into a type with the fields that are needed; see `RecordDecoder`."""

    def __init__(self, record_type: type[_R]) -> None:
        self._type = record_type
        self._decode = msgspec.json.Decoder(record_type).decode
        self._raw_fields = {each.encode_name for each in fields(record_type) if each.type is msgspec.Raw}

    def __call__(self, data: bytes | memoryview, path: str) -> _R:
        """Decode a text whose value has this JSON path.

        Raises:
            InvalidRecordError: It is no JSON, or not of that type.
        """
        try:
            return self._decode(data)
        except _UNREADABLE as error:
            value = parse_lenient(data, path, error)
        for name in self._raw_fields & value.keys() if isinstance(value, dict) else ():
            value[name] = msgspec.Raw(to_text(value[name], path))
        try:
            return msgspec.convert(value, self._type)
        except (msgspec.ValidationError, RecursionError) as error:
            if mismatch := first_mismatch(self._type, value, path):
                raise InvalidRecordError(*mismatch) from None
            return self._again(value, path, error)

    def _again(self, value: Json, path: str, error: Exception) -> _R:
        """Decode what only a text decodes to: a type whose fields keep the text as it is."""
        try:
            return self._decode(msgspec.json.encode(value))
        except (*_UNREADABLE, ValueError, OverflowError):
            raise InvalidRecordError(path, "a record", f"something else ({error})") from None


def parse_lenient(data: bytes | memoryview, path: str, error: Exception | None = None) -> Json:
    """Decode JSON that may hold NaN or Infinity.

    Args:
        data: The text.
        path: The JSON path of its value.
        error: What a stricter reader says of it.

    Raises:
        InvalidRecordError: It is no JSON either way.
    """
    with suppress(ValueError):
        return parse(data)
    try:
        value = json.loads(bytes(data))
        json.dumps(value, ensure_ascii=False).encode()  # which no half of a surrogate pair survives: no column holds it
    except (ValueError, RecursionError) as second:
        raise InvalidRecordError(path, "valid JSON", f"text that is not ({error or second})") from None
    return value
