"""Decode rows, fast where their messages are spelled as OpenAI does, and message by message where they are not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from polars_export.inputs.decoding import Decoded, bad_record, decode_each, from_deeper, reject_oversized
from polars_export.inputs.dialect import AmbiguousError
from polars_export.inputs.message_rows.fields import (
    error_of,
    extra_of,
    metrics_of,
    name_of,
    system_of,
    tools_of,
    verdict_of,
)
from polars_export.inputs.message_rows.outline import UnclearOutlineError, count_outlines
from polars_export.inputs.message_rows.python_rows import map_row
from polars_export.inputs.message_rows.recognise import resolve
from polars_export.inputs.message_rows.respell import respell
from polars_export.inputs.message_rows.rows import RowFields, lookup
from polars_export.json_values import Mismatch, describe_value, parse
from polars_export.mapping import show_path
from polars_export.messages.flatten import Flattener, outline_columns
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.json_text import decode_arguments, from_text
from polars_export.messages.normalise import normalise_parts
from polars_export.messages.placement import PlacedMessages
from polars_export.messages.records import Message, Trace
from polars_export.process import pause_gc
from polars_export.tables.columns import Columns
from polars_export.tables.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polars_export.json_values import Json
    from polars_export.mapping import RowMapping
    from polars_export.messages.records import MessageCounts
    from polars_export.sources.chunk import Chunk

__all__ = ["RowDecoder"]

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, UnclearOutlineError)

# Up to Python 3.11 the calls under way take from how deep a value may be nested. So one row is decoded from deeper than
# its columns are made, and a chunk from deeper than one row: what one refuses, the next may still take.
_TO_COLUMNS = 8
_TO_ROW = 20


class RowDecoder:
    """Decodes the rows of sources that are mapped alike.

    Fields that the projection does not need are skipped unread: they are neither required nor checked.

    Args:
        mapping: Says which field is what, that with the messages included.
        projection: Which columns are wanted.
        sort_arguments: Whether the keys of tool-call arguments are sorted; see `Dialect.decoder`.
    """

    def __init__(self, mapping: RowMapping, projection: Projection, *, sort_arguments: bool = False) -> None:
        self._projection = projection
        self._is_outline = projection is Projection.SELECTION
        self._fields = RowFields(mapping, projection)
        self._decode = msgspec.json.Decoder(self._fields.type).decode
        self._flattener = Flattener(projection, sort_arguments=sort_arguments)

    def decode(self, chunk: Chunk, /) -> Decoded:
        """Decode the rows of a chunk; set aside what is no trace."""
        with pause_gc():
            chunk, rejected = reject_oversized(chunk)
            rows = range(len(chunk.spans))
            try:
                traces = from_deeper(_TO_ROW, lambda: [self._typed(chunk, row) for row in rows])
            except (*_UNREADABLE, InvalidRecordError):  # messages of another spelling or invalid rows are in it
                chunk, traces, rejected_rows = decode_each(chunk, self._one)
                rejected += rejected_rows
            return Decoded(chunk, self._columns(traces), rejected)

    def _columns(self, traces: Sequence[Trace]) -> Columns:
        if not self._is_outline:
            return self._flattener.columns(traces)
        return Columns(outline_columns(traces, [trace.counts for trace in traces if trace.counts]))

    def _one(self, chunk: Chunk, index: int) -> Trace:
        try:
            return from_deeper(_TO_COLUMNS, lambda: self._typed_or_any(chunk, index))
        except InvalidRecordError as error:
            raise bad_record(chunk, index, _with_hint(error.mismatch)) from None

    def _typed_or_any(self, chunk: Chunk, index: int) -> Trace:
        try:
            return self._typed(chunk, index)
        except _UNREADABLE:
            return self._message_by_message(chunk, index)

    def _typed(self, chunk: Chunk, index: int) -> Trace:
        """Decode a row whose messages are spelled as OpenAI does."""
        fields = self._fields
        if not fields.is_typed:
            raise UnclearOutlineError
        start, end = chunk.spans[index]
        row = self._decode(chunk.data[start:end])
        messages = fields.messages(row)
        if self._is_outline:
            return self._trace(chunk, index, row, (), counts=count_outlines(messages))
        decode_arguments(messages, chunk.json_path(index))
        return self._trace(chunk, index, row, messages)

    def _message_by_message(self, chunk: Chunk, index: int) -> Trace:
        """Decode any row."""
        path = chunk.json_path(index)
        row = self._parse(chunk, index)
        if not isinstance(row, dict):
            raise InvalidRecordError(path, "an object", describe_value(row))
        fields = self._fields
        if fields.mapping.python:
            row = map_row(fields.mapping.python, row, path)
            fields = RowFields(_resolved(replace(fields.mapping, python=None), row, path), self._projection)
        return self._any(fields, chunk, index, row)

    def _any(self, fields: RowFields, chunk: Chunk, index: int, row: dict[str, Json]) -> Trace:
        path = chunk.json_path(index)
        parts = [self._part(row, at, f"{path}.{show_path(at)}", fields.mapping) for at in fields.mapping.messages]
        messages, dropped = normalise_parts(parts)
        if self._is_outline:
            counts = PlacedMessages().add(messages)
            return self._trace(chunk, index, row, (), counts=counts, fields=fields)
        decode_arguments(messages, path)
        return self._trace(chunk, index, row, messages, dropped, fields=fields)

    def _part(self, row: dict[str, Json], at: tuple[str, ...], path: str, mapping: RowMapping) -> tuple[Json, str]:
        """Return the messages that stand at a path of a row, and their JSON path."""
        value = from_text(lookup(row, at))
        if value is None and at[0] not in row:
            raise InvalidRecordError(path, "an array of messages", "no such field")
        return respell(value, mapping), path

    def _trace(  # noqa: PLR0913 - what is known of a row by two ways
        self,
        chunk: Chunk,
        index: int,
        row: Json,
        messages: Sequence[Message],
        dropped: Sequence[tuple[int, str]] = (),
        *,
        counts: MessageCounts | None = None,
        fields: RowFields | None = None,
    ) -> Trace:
        path, fields = chunk.json_path(index), fields or self._fields
        trace = Trace(name_of(fields, row, "case", path) or _name_of(chunk, index), messages, dropped=dropped)
        trace.eval_set_id = name_of(fields, row, "eval_set", path)
        trace.metrics = metrics_of(fields, row, path)
        verdict, is_unknown = verdict_of(fields, row)
        if verdict and fields.mapping.verdict and not trace.metrics:
            trace.metrics = [(show_path(fields.mapping.verdict), float(verdict == "pass"))]
        if counts:
            trace.counts = counts
            return trace
        trace.verdict = verdict
        trace.dropped_kinds = {"unknown verdicts": 1} if is_unknown else {}
        trace.run, trace.model_id = name_of(fields, row, "run", path), name_of(fields, row, "model", path)
        trace.tools = tools_of(fields, row, path)
        if (system := system_of(fields, row, path)) is not None:
            trace.messages = [Message("system", system), *messages]
            trace.dropped = [(place + 1, column) for place, column in dropped]
        if self._projection is Projection.FULL:
            trace.error = error_of(fields, row, path)
            trace.extra = extra_of(fields, row, path) if fields.has_extra else None
        return trace

    def _parse(self, chunk: Chunk, index: int) -> Json:
        """Decode a row without a type.

        Raises:
            InvalidRecordError: It is no JSON, or its score is NaN.
        """
        start, end = chunk.spans[index]
        data, path = bytes(chunk.data[start:end]), chunk.json_path(index)
        try:
            return parse(data)
        except ValueError as error:
            self._raise_for_nan(data, path)
            expected = "a JSON value on one line" if chunk.array_path is None else "a JSON value"
            raise InvalidRecordError(path, expected, f"text that is not ({error})") from None

    def _raise_for_nan(self, data: bytes, path: str) -> None:
        """Name a score that is not a number, which Python writes although JSON has none.

        Raises:
            InvalidRecordError: The row would be JSON but for that.
        """
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return
        if isinstance(value, dict):
            metrics_of(self._fields, value, path)


def _resolved(mapping: RowMapping, row: dict[str, Json], path: str) -> RowMapping:
    """Return the mapping of a row that a function made.

    Raises:
        InvalidRecordError: Its messages are not found.
    """
    try:
        return resolve(mapping, [row])
    except AmbiguousError as error:
        raise InvalidRecordError(path, "a row with messages", f"one that is not understood ({error})") from None


def _with_hint(mismatch: Mismatch) -> Mismatch:
    """Say how a role can be named that nobody knows."""
    path, expected, found = mismatch
    if not path.endswith((".role", ".from")) or not found.startswith("the string"):
        return mismatch
    return Mismatch(path, f"{expected}, or one that is named (--map roles.NAME=ROLE)", found)


def _name_of(chunk: Chunk, index: int) -> str:
    """Return a name for the case of a row that names none: its file, and where it begins there.

    That is a byte, or of a table the number of a row. The number of its line is not known here: others read the lines
    before, at the same time.
    """
    source = chunk.source.encode("utf-8", "backslashreplace").decode()
    at = chunk.stored[index][0] if chunk.stored is not None else chunk.offset + chunk.spans[index][0]
    return f"{source}@{at}"
