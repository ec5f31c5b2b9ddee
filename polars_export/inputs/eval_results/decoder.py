"""Decode the records of a chunk, fast where they are as expected and with an exact complaint where they are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

import msgspec

from polars_export.errors import BadRecordError
from polars_export.inputs.eval_results.records import (
    BLOCK_TYPES,
    CaseScores,
    ConversationTrace,
    FullTrace,
    Trace,
    TraceOutline,
)
from polars_export.json_values import Mismatch, describe_value, first_mismatch, parse
from polars_export.process import pause_gc
from polars_export.sources.chunk import RAW_BYTES, Origin
from polars_export.tables.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from polars_export.sources.chunk import Chunk, OversizedRecord

__all__ = [
    "Decoded",
    "Rejected",
    "TraceDecoder",
    "check_case_result",
    "name_unknown_blocks",
]

_T = TypeVar("_T")

_RECORD_TYPE: dict[Projection, type[TraceOutline]] = {
    Projection.CHOICE: TraceOutline,
    Projection.RECORDS: Trace,
    Projection.CONVERSATIONS: ConversationTrace,
    Projection.FULL: FullTrace,
}

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

# Up to Python 3.11 the calls under way take from how deep a value may be nested.
_TO_ONE = 10  # calls, more than lead from the decoding of a chunk to that of one record in it
_ELSEWHERE = 50  # more than lie between any two places from which chunks are decoded


class Rejected(NamedTuple):
    """A record that is not valid JSON, not a trace or too large.

    Attributes:
        position: Its position, as in the chunk.
        error: What is wrong with it.
        raw: The beginning of its bytes.
        size: How many bytes it takes.
    """

    position: int
    error: BadRecordError
    raw: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """The traces of one chunk in order, as records of a level of detail.

    Attributes:
        chunk: The records that are traces.
        detail: The level of detail.
        traces: One for each record of the chunk.
        rejected: The records that are none.
    """

    chunk: Chunk
    detail: Projection
    traces: Sequence[TraceOutline]
    rejected: Sequence[Rejected] = ()


class TraceDecoder:
    """Decodes chunks at one level of detail.

    Fields that the level does not need are skipped unread: they are neither required nor checked.
    """

    def __init__(self, detail: Projection) -> None:
        self._detail = detail
        self._type = _RECORD_TYPE[detail]
        self._decode = msgspec.json.Decoder(self._type).decode

    def decode(self, chunk: Chunk) -> Decoded:
        """Decode the records of a chunk; what is no trace is set aside."""
        if chunk.oversized and chunk.spans:
            return self._none_of(chunk, chunk.oversized)
        decode, data = self._decode, chunk.data
        rejected: Sequence[Rejected] = ()
        with pause_gc():
            try:
                traces = _from_deeper(_TO_ONE, lambda: [decode(data[start:end]) for start, end in chunk.spans])
                for index, trace in enumerate(traces):
                    if trace.metric_results is msgspec.UNSET:
                        _check_score(chunk, index, trace)
            except (*_UNREADABLE, BadRecordError):
                chunk, traces, rejected = self._one_by_one(chunk)
        if chunk.eval_set_id is not None:
            for trace in traces:
                trace.eval_set_id = chunk.eval_set_id
        return Decoded(chunk, self._detail, traces, rejected)

    def decode_with_headroom(self, chunk: Chunk) -> Decoded:
        """Do the same, but so that what is a trace by this is one wherever it is read again."""
        return _from_deeper(_ELSEWHERE, lambda: self.decode(chunk))

    def _none_of(self, chunk: Chunk, oversized: OversizedRecord) -> Decoded:
        """Set aside the record that a chunk holds only the beginning of."""
        limit, size = oversized
        mismatch = Mismatch(chunk.json_path(0), f"a record of at most {limit:,} bytes", f"one of {size:,} bytes")
        error = BadRecordError(chunk.source, chunk.line(0), *mismatch)
        return Decoded(chunk.only([]), self._detail, [], [_rejected(chunk, 0, error)])

    def _one_by_one(self, chunk: Chunk) -> tuple[Chunk, list[TraceOutline], list[Rejected]]:
        """Decode a chunk with scored traces, blocks of unknown types or bad records in it."""
        rejected: list[Rejected] = []
        traces: list[TraceOutline] = []
        good: list[int] = []
        for index in range(len(chunk.spans)):
            try:
                traces.append(self._one(chunk, index))
                good.append(index)
            except BadRecordError as error:
                error.__traceback__ = error.__context__ = None  # they would hold all traces of the chunk
                rejected.append(_rejected(chunk, index, error))
        return chunk.only(good) if rejected else chunk, traces, rejected

    def _one(self, chunk: Chunk, index: int) -> TraceOutline:
        start, end = chunk.spans[index]
        try:
            trace = self._decode(chunk.data[start:end])
        except _UNREADABLE:
            trace = self._value_by_value(chunk, index)
        if trace.metric_results is msgspec.UNSET:
            _check_score(chunk, index, trace)
        return trace

    def _value_by_value(self, chunk: Chunk, index: int) -> TraceOutline:
        """Decode a record that the fast way refused: it holds unknown blocks, or it is bad."""
        start, end = chunk.spans[index]
        path = chunk.json_path(index)
        try:
            value = parse(chunk.data[start:end])
        except ValueError as error:
            expected = "a JSON value on one line" if chunk.origin is Origin.LINES else "valid JSON"
            _refuse(chunk, index, Mismatch(path, expected, f"text that is not ({error})"))
        name_unknown_blocks(value)
        if mismatch := first_mismatch(self._type, value, path):
            _refuse(chunk, index, mismatch)
        try:
            return msgspec.convert(value, self._type)
        except msgspec.ValidationError as error:  # what the walk above does not see: a number too large for a double
            _refuse(chunk, index, Mismatch(path, "a trace", f"something else ({error})"))


def _from_deeper(calls: int, function: Callable[[], _T]) -> _T:
    """Call a function from some calls deeper, where less may be nested: so another way need not be more strict."""
    return _from_deeper(calls - 1, function) if calls else function()


def _rejected(chunk: Chunk, index: int, error: BadRecordError) -> Rejected:
    start, end = chunk.spans[index]
    size = chunk.oversized.size if chunk.oversized else end - start
    return Rejected(chunk.positions[index], error, bytes(chunk.data[start : min(end, start + RAW_BYTES)]), size)


def _check_score(chunk: Chunk, index: int, trace: TraceOutline) -> None:
    """Check that a trace without metrics is a scored trace."""
    path = chunk.json_path(index)
    if trace.score is msgspec.UNSET or chunk.origin is Origin.DOCUMENT:
        _refuse(chunk, index, Mismatch(f"{path}.metric_results", "an array", "no such field"))
    try:
        trace.score = msgspec.convert(trace.score, float)
    except msgspec.ValidationError:
        _refuse(chunk, index, Mismatch(f"{path}.score", "a number", describe_value(trace.score)))


def check_case_result(value: Mapping[str, Any]) -> None:
    """Check the scores of a case result that is a Python object.

    Raises:
        BadRecordError: It is not a case result.
    """
    if mismatch := first_mismatch(CaseScores, dict(value), "$"):
        raise BadRecordError("case result", None, *mismatch)
    try:
        msgspec.convert(value, CaseScores)
    except msgspec.ValidationError as error:  # as where a record is decoded value by value
        raise BadRecordError("case result", None, "$", "a case result", f"something else ({error})") from None


def name_unknown_blocks(value: object) -> None:
    """Give blocks of a type that is not known the type `unknown`, in place, so that they can be decoded and counted.

    Blocks that lack a type, or have one that is not a string, stay as they are: they are errors.
    """
    for turn in _items(_field(_field(value, "invocation"), "turns")):
        messages = [_field(turn, "assistant_message"), *_items(_field(turn, "tool_results"))]
        for block in (block for message in messages for block in _items(_field(message, "content"))):
            if isinstance(block, dict) and isinstance(block.get("type"), str) and block["type"] not in BLOCK_TYPES:
                block["type"] = "unknown"


def _field(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _refuse(chunk: Chunk, index: int, mismatch: Mismatch) -> NoReturn:
    raise BadRecordError(chunk.source, chunk.line(index), *mismatch)
