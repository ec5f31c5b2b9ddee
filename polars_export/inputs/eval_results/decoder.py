"""Decode case results and scored traces, fast where they are as expected, with an exact error where they are not."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from polars_export.errors import BadRecordError
from polars_export.inputs.decoding import Decoded, bad_record, decode_each, from_deeper, reject_oversized
from polars_export.inputs.eval_results.flatten import Flattener
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
from polars_export.tables.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polars_export.inputs.decoding import Rejected
    from polars_export.sources.chunk import Chunk

__all__ = ["TraceDecoder", "check_case_result", "name_unknown_blocks"]

_RECORD_TYPE: dict[Projection, type[TraceOutline]] = {
    Projection.SELECTION: TraceOutline,
    Projection.RECORDS: Trace,
    Projection.CONVERSATIONS: ConversationTrace,
    Projection.FULL: FullTrace,
}

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_TO_ONE = 10  # calls, more than lead from the decoding of a chunk to that of one record in it


class TraceDecoder:
    """Decodes chunks at one projection.

    Fields that the projection does not need are skipped unread: they are neither required nor checked.

    Args:
        projection: Which columns are wanted.
        sort_arguments: Whether the keys of tool-call arguments are sorted by their UTF-8 bytes at every depth, as the
            reference does, instead of standing in the order of the source.
    """

    def __init__(self, projection: Projection, *, sort_arguments: bool = False) -> None:
        self._type = _RECORD_TYPE[projection]
        self._decode = msgspec.json.Decoder(self._type).decode
        self._flattener = Flattener(projection, sort_arguments=sort_arguments)
        self._holds_prompts = projection >= Projection.CONVERSATIONS

    def decode(self, chunk: Chunk, /) -> Decoded:
        """Decode the records of a chunk; set aside what is no trace."""
        with pause_gc():
            chunk, traces, rejected = self.records(chunk)
            return Decoded(chunk, self._flattener.columns(traces), rejected)

    def records(self, chunk: Chunk, /) -> tuple[Chunk, list[TraceOutline], list[Rejected]]:
        """Return the records of a chunk that are traces, these traces, and the records that are none."""
        chunk, rejected = reject_oversized(chunk)
        decode, data = self._decode, chunk.data
        try:
            traces = from_deeper(_TO_ONE, lambda: [decode(data[start:end]) for start, end in chunk.spans])
            for index, trace in enumerate(traces):
                self._check(chunk, index, trace)
        except (*_UNREADABLE, BadRecordError):  # scored traces, blocks of unknown types or invalid records are in it
            chunk, traces, rejected = decode_each(chunk, self._one)
        if chunk.header is not None:
            eval_set_id = _eval_set_of(chunk.header)
            for trace in traces:
                trace.eval_set_id = eval_set_id
        return chunk, traces, rejected

    def _one(self, chunk: Chunk, index: int) -> TraceOutline:
        start, end = chunk.spans[index]
        try:
            trace = self._decode(chunk.data[start:end])
        except _UNREADABLE:
            trace = self._value_by_value(chunk, index)
        self._check(chunk, index, trace)
        return trace

    def _check(self, chunk: Chunk, index: int, trace: TraceOutline) -> None:
        if trace.metric_results is msgspec.UNSET:
            _check_score(chunk, index, trace)
        if self._holds_prompts and (trace.system_prompt is not None or trace.user_messages is not None):
            _check_prompts(chunk, index, trace)

    def _value_by_value(self, chunk: Chunk, index: int) -> TraceOutline:
        """Decode a record that the fast way refused: it holds unknown blocks, or it is invalid."""
        start, end = chunk.spans[index]
        path = chunk.json_path(index)
        try:
            value = parse(chunk.data[start:end])
        except ValueError as error:
            expected = "a JSON value on one line" if chunk.array_path is None else "valid JSON"
            raise bad_record(chunk, index, Mismatch(path, expected, f"text that is not ({error})")) from None
        name_unknown_blocks(value)
        if mismatch := first_mismatch(self._type, value, path):
            raise bad_record(chunk, index, mismatch)
        try:
            return msgspec.convert(value, self._type)
        except msgspec.ValidationError as error:  # what the walk above does not see: a number too large for a double
            raise bad_record(chunk, index, Mismatch(path, "a trace", f"something else ({error})")) from None


@cache
def _eval_set_of(header: str) -> str:
    return str(parse(header.encode())["eval_set_id"])


def _check_score(chunk: Chunk, index: int, trace: TraceOutline) -> None:
    """Check that a trace without metrics is a scored trace."""
    path = chunk.json_path(index)
    if trace.score is msgspec.UNSET or chunk.header is not None:
        raise bad_record(chunk, index, Mismatch(f"{path}.metric_results", "an array", "no such field"))
    try:
        trace.score = msgspec.convert(trace.score, float)
    except msgspec.ValidationError:
        raise bad_record(chunk, index, Mismatch(f"{path}.score", "a number", describe_value(trace.score))) from None


def _check_prompts(chunk: Chunk, index: int, trace: TraceOutline) -> None:
    """Check the prompts that a line brings."""
    path = chunk.json_path(index)
    if not isinstance(trace.system_prompt, str | None):
        mismatch = Mismatch(f"{path}.system_prompt", "a string", describe_value(trace.system_prompt))
        raise bad_record(chunk, index, mismatch)
    if not isinstance(trace.user_messages, list | None):
        mismatch = Mismatch(f"{path}.user_messages", "an array", describe_value(trace.user_messages))
        raise bad_record(chunk, index, mismatch)
    for place, message in enumerate(trace.user_messages or ()):
        if not isinstance(message, str):
            mismatch = Mismatch(f"{path}.user_messages[{place}]", "a string", describe_value(message))
            raise bad_record(chunk, index, mismatch)


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
