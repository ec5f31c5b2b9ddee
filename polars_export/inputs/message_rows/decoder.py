"""Decode rows, fast where their messages are spelled as OpenAI does, and message by message where they are not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from polars_export.inputs.decoding import Decoded, bad_record, decode_each, from_deeper, reject_oversized
from polars_export.inputs.message_rows.fields import case_of, metric_of, model_of, run_of, tools_of
from polars_export.inputs.message_rows.flatten import Flattener, outline_columns
from polars_export.inputs.message_rows.invalid_row import InvalidRowError
from polars_export.inputs.message_rows.json_text import to_text
from polars_export.inputs.message_rows.normalise import normalise
from polars_export.inputs.message_rows.outline import UnclearOutlineError, count_outlines
from polars_export.inputs.message_rows.placement import PlacedMessages
from polars_export.inputs.message_rows.records import OWN_FIELDS, SCORE_FIELDS, Row, Trace, row_type
from polars_export.json_values import describe_value, parse
from polars_export.process import pause_gc
from polars_export.tables.columns import Columns
from polars_export.tables.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polars_export.inputs.message_rows.records import Message, MessageCounts
    from polars_export.json_values import Json
    from polars_export.sources.chunk import Chunk

__all__ = ["RowDecoder"]

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, UnclearOutlineError)

# Up to Python 3.11 the calls under way take from how deep a value may be nested. So one row is decoded from deeper than
# its columns are made, and a chunk from deeper than one row: what one refuses, the next may still take.
_TO_COLUMNS = 8
_TO_ROW = 20

_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


class RowDecoder:
    """Decodes the rows of sources whose messages stand in one field.

    Fields that the projection does not need are skipped unread: they are neither required nor checked.

    Args:
        messages_field: The field.
        projection: Which columns are wanted.
        sort_arguments: Whether the keys of tool-call arguments are sorted; see `Dialect.decoder`.
    """

    def __init__(self, messages_field: str, projection: Projection, *, sort_arguments: bool = False) -> None:
        self._field = messages_field
        self._is_outline = projection is Projection.SELECTION
        self._type = row_type(messages_field, projection)
        self._decode = msgspec.json.Decoder(self._type).decode
        self._flattener = Flattener(projection, sort_arguments=sort_arguments)

    def decode(self, chunk: Chunk, /) -> Decoded:
        """Decode the rows of a chunk; set aside what is no trace."""
        with pause_gc():
            chunk, rejected = reject_oversized(chunk)
            rows = range(len(chunk.spans))
            try:
                traces = from_deeper(_TO_ROW, lambda: [self._typed(chunk, row) for row in rows])
            except (*_UNREADABLE, InvalidRowError):  # messages of another spelling or invalid rows are in it
                chunk, traces, rejected_rows = decode_each(chunk, self._one)
                rejected += rejected_rows
            return Decoded(chunk, self._columns(traces), rejected)

    def _columns(self, traces: Sequence[Trace]) -> Columns:
        if not self._is_outline:
            return self._flattener.columns(traces)
        counts = [trace.counts for trace in traces if trace.counts]
        return Columns(outline_columns([trace.case_id for trace in traces], [trace.metric for trace in traces], counts))

    def _one(self, chunk: Chunk, index: int) -> Trace:
        try:
            return from_deeper(_TO_COLUMNS, lambda: self._typed_or_any(chunk, index))
        except InvalidRowError as error:
            raise bad_record(chunk, index, error.mismatch) from None

    def _typed_or_any(self, chunk: Chunk, index: int) -> Trace:
        try:
            return self._typed(chunk, index)
        except _UNREADABLE:
            return self._message_by_message(chunk, index)

    def _typed(self, chunk: Chunk, index: int) -> Trace:
        """Decode a row whose messages are spelled as OpenAI does."""
        start, end = chunk.spans[index]
        row = self._decode(chunk.data[start:end])
        if self._is_outline:
            return self._outline(chunk, index, row, count_outlines(row.messages))
        return self._trace(chunk, index, row)

    def _message_by_message(self, chunk: Chunk, index: int) -> Trace:
        """Decode any row."""
        path = chunk.json_path(index)
        value = _parse(chunk, index)
        if not isinstance(value, dict):
            raise InvalidRowError(path, "an object", describe_value(value))
        messages_path = f"{path}.{self._field}"
        if self._field not in value:
            raise InvalidRowError(messages_path, "an array of messages", "no such field")
        messages, dropped = normalise(value[self._field], messages_path)
        known = OWN_FIELDS & value.keys() & set(self._type.__struct_fields__)
        fields = {name: value[name] for name in known}
        if "tools" in fields:
            fields["tools"] = msgspec.Raw(to_text(fields["tools"], f"{path}.tools"))
        row = self._type(messages=messages, **fields)
        if self._is_outline:
            return self._outline(chunk, index, row, PlacedMessages().add(messages))
        return self._trace(chunk, index, row, dropped)

    def _outline(self, chunk: Chunk, index: int, row: Row, counts: MessageCounts) -> Trace:
        path = chunk.json_path(index)
        case = case_of(row, path) or _name_of(chunk, index)
        return Trace(case, metric_of(row, path), (), counts=counts)

    def _trace(self, chunk: Chunk, index: int, row: Row, dropped: Sequence[tuple[int, str]] = ()) -> Trace:
        path = chunk.json_path(index)
        _decode_arguments(row.messages, f"{path}.{self._field}")
        return Trace(
            case_id=case_of(row, path) or _name_of(chunk, index),
            metric=metric_of(row, path),
            run=run_of(row, path),
            model_id=model_of(row, path),
            tools=tools_of(row, path),
            messages=row.messages,
            dropped=dropped,
        )


def _name_of(chunk: Chunk, index: int) -> str:
    """Return a name for the case of a row that names none: its file, and the byte at which it begins.

    The number of its line is not known here: others read the lines before, at the same time.
    """
    source = chunk.source.encode("utf-8", "backslashreplace").decode()
    return f"{source}@{chunk.offset + chunk.spans[index][0]}"


def _decode_arguments(messages: Sequence[Message], path: str) -> None:
    """Replace arguments that are the JSON of an object by the object; other texts are arguments as they are."""
    for message in messages:
        for call in message.tool_calls or ():
            arguments = call.function.arguments
            if type(arguments) is not str:
                continue
            try:
                call.function.arguments = _decode_object(arguments)
            except msgspec.MsgspecError:
                continue
            except RecursionError:
                raise InvalidRowError(path, "arguments that can be read", "some nested too deeply") from None


def _parse(chunk: Chunk, index: int) -> Json:
    """Decode a row without a type.

    Raises:
        InvalidRowError: It is no JSON.
    """
    start, end = chunk.spans[index]
    data, path = bytes(chunk.data[start:end]), chunk.json_path(index)
    try:
        return parse(data)
    except ValueError as error:
        _raise_for_nan(data, path)
        raise InvalidRowError(path, "a JSON value on one line", f"text that is not ({error})") from None


def _raise_for_nan(data: bytes, path: str) -> None:
    """Name a score that is not a number, which Python writes although JSON has none.

    Raises:
        InvalidRowError: The row would be JSON but for that.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    for name in SCORE_FIELDS:
        if isinstance(value, dict) and isinstance(value.get(name), float):
            metric_of(Row(messages=(), **{name: value[name]}), path)
