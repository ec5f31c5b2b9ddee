"""Tell from a source's first bytes what it holds; its name plays no part."""

from __future__ import annotations

import json
from contextlib import suppress
from enum import Enum, auto
from itertools import islice

from polars_export.errors import BadRecordError, SourceError
from polars_export.json_values import parse
from polars_export.sources.json_lines import line_chunks
from polars_export.sources.json_scan import JsonScan
from polars_export.sources.stream import ByteStream, is_piped
from polars_export.sources.window import CHUNK_BYTES, Window

__all__ = ["Kind", "NoTracesError", "recognise"]

_NAMED_KEYS = 5
_LONGEST_KEY = 40  # characters of a key in a message
_MOST_KEYS = 10_000  # before one that tells the kind; a document or a trace has a dozen
_OF_A_TRACE = b'"invocation"'
_EVAL_RESULT_KEYS = {"eval_set_id", "case_id", "metric_results"}  # with one of them, broken JSON is damaged results


class Kind(Enum):
    """What a source holds."""

    LINES = auto()
    DOCUMENT = auto()


class _FirstLine(Enum):
    """What the first line of a source is that is not blank."""

    VALUE = auto()  # or so long that it is not held to its end
    BEGINNING = auto()  # of a value that goes on behind it, as in JSON that is set out to be read
    BROKEN = auto()


class NoTracesError(SourceError):
    """The source holds no traces: it is empty, of another kind that is known, or of a kind that is not."""


class _UnknownObjectError(SourceError):
    """The source starts with an object of no known kind."""


class _UnknownTextError(BadRecordError):
    """The source does not start with a JSON object, or with a broken one of no known kind."""


def recognise(window: Window, *, tolerant: bool = False, searched: bool = False) -> Kind:
    """Return the kind of the source at whose start a window stands; the window keeps what it has read.

    Where a first line that is no trace stands for itself and a later line is a trace, the source is one of lines.

    Args:
        window: Is read no further than its limit.
        tolerant: Take what starts with anything else for lines if a later line is a trace.
        searched: The source was found in a search and not named by the user: one of no known kind holds no traces.

    Raises:
        NoTracesError: It is empty, or of a known kind that holds no traces: a report artifact, an eval set, an array,
            records of an export.
        SourceError: It is an object of no known kind.
        BadRecordError: It does not start with JSON, or what tells its kind lies behind the limit; or it is of lines
            among which the first is of another kind, and that is not tolerated.
    """
    try:
        kind = _recognised(window)
    except (BadRecordError, _UnknownObjectError) as error:
        if (tolerant or searched) and _holds_a_trace(window):
            if tolerant:
                return Kind.LINES
            raise
        if searched and isinstance(error, _UnknownTextError):
            raise NoTracesError(window.source, f"expected {error.expected}, found {error.found}") from None
        if searched and isinstance(error, _UnknownObjectError):
            raise NoTracesError(window.source, error.problem) from None
        raise
    except NoTracesError as error:
        can_be_told = tolerant or not is_piped(window.source)
        if not can_be_told or _first_line(window) is _FirstLine.BEGINNING or not _holds_a_trace(window):
            raise
        if tolerant:
            return Kind.LINES
        line = _line_at(window, _start_of(window))
        raise BadRecordError(window.source, line, "$", "a trace, as in a later line", error.problem) from None
    if tolerant and kind is Kind.DOCUMENT and _has_second_line(window):
        stands_alone = _first_line(window) is not _FirstLine.BEGINNING
        return Kind.LINES if stands_alone and _holds_a_trace(window) else kind
    return kind


def _recognised(window: Window) -> Kind:
    scan = JsonScan(window)
    start = _start_of(window)
    if not scan.byte(start):
        raise NoTracesError(window.source, "the file is empty")
    line = _line_at(window, start)
    if scan.byte(start) == b"[" and _first_line(window) is not _FirstLine.BROKEN:
        raise NoTracesError(
            window.source, "a JSON array holds no traces; expected a results document, or a trace a line"
        )
    if scan.byte(start) != b"{":
        found = bytes(window.view(min(start + 20, len(window)))[start:]).split(b"\n")[0].decode("utf-8", "replace")
        raise _UnknownTextError(window.source, line, "$", "a JSON object", f"text that starts with {found!r}")
    seen: set[str] = set()
    try:
        for key, _ in islice(scan.keys(start), _MOST_KEYS):
            seen.add(key)
            if kind := _kind(seen):
                return kind
    except BadRecordError as error:
        kind_of_error = BadRecordError if seen & _EVAL_RESULT_KEYS else _UnknownTextError
        raise kind_of_error(window.source, line, "$", error.expected, error.found) from None
    raise _other(window.source, seen)


def _start_of(window: Window) -> int:
    """Return the offset of the first byte that is not white space."""
    return JsonScan(window).skip_space(0)


def _line_at(window: Window, offset: int) -> int:
    return 1 + window.data.count(b"\n", window.start, window.start + offset)


def _first_line(window: Window) -> _FirstLine:
    start = _start_of(window)
    newline = window.data.find(b"\n", window.start + start, window.end)
    if newline < 0:
        return _FirstLine.VALUE
    text = bytes(window.data[window.start + start : newline]).decode("utf-8", "replace").rstrip()
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return _FirstLine.BEGINNING if error.pos >= len(text) else _FirstLine.BROKEN
    except (ValueError, RecursionError):  # a number of more digits than Python reads, or nested deep
        return _FirstLine.BROKEN
    return _FirstLine.VALUE


def _has_second_line(window: Window) -> bool:
    """Return whether something is held behind the first line: what is not held need not be read to tell a document."""
    newline = window.data.find(b"\n", window.start + _start_of(window), window.end)
    return newline >= 0 and not window.data[newline : window.end].isspace()


def _holds_a_trace(window: Window) -> bool:
    """Return whether a line is a trace: of a file in a second reading, of a pipe in what is held, which grows."""
    if is_piped(window.source):
        return _holds_a_trace_in_full(window)
    if not _mentions_a_trace(window.source):
        return False
    with ByteStream(window.source) as again, suppress(SourceError):
        for chunk in line_chunks(Window(again, window.limit)):
            lines = (chunk.data[start:end] for start, end in chunk.spans)
            if not chunk.oversized and any(_OF_A_TRACE in bytes(line) and _is_trace(line) for line in lines):
                return True
    return False


def _mentions_a_trace(source: str) -> bool:
    """Return whether the key of a trace stands anywhere in a file: soon told, also of one that is large."""
    block, overlap = bytearray(CHUNK_BYTES), len(_OF_A_TRACE) - 1
    with ByteStream(source) as stream, suppress(SourceError):
        while count := stream.readinto(memoryview(block)[overlap:]):
            if block.find(_OF_A_TRACE, 0, overlap + count) >= 0:
                return True
            block[:overlap] = block[count : count + overlap]
    return False


def _holds_a_trace_in_full(window: Window) -> bool:
    """Read on until a whole line is a trace; a window that is full has none, and the pipe may hold one."""
    at, at_end = 0, False
    while True:
        while (found := window.data.find(_OF_A_TRACE, window.start + at, window.end)) >= 0:
            begin = window.data.rfind(b"\n", window.start + at, found) + 1 or window.start + at
            end = window.data.find(b"\n", found, window.end)
            if end < 0 and not at_end:
                break
            end = end if end >= 0 else window.end
            if _is_trace(memoryview(window.data)[begin:end]):
                return True
            at = end - window.start
        if at_end or len(window) > window.limit:
            return not at_end
        if found < 0:  # what has been searched need not be searched again, but for the line that goes on
            at = max(at, window.data.rfind(b"\n", window.start, window.end) + 1 - window.start)
        at_end = not window.more()


def _is_trace(line: memoryview) -> bool:
    try:
        value = parse(line)
    except ValueError:
        return False
    return isinstance(value, dict) and {"case_id", "invocation"} <= value.keys() and "case_results" not in value


def _kind(keys: set[str]) -> Kind | None:
    if "case_results" in keys:
        return Kind.DOCUMENT
    return Kind.LINES if "invocation" in keys else None


def _other(source: str, keys: set[str]) -> SourceError:
    if {"schema_version", "cases"} <= keys:
        what = "a report artifact holds no traces; export the eval results that it was made from"
    elif {"id", "cases"} <= keys:
        what = "an eval set holds no traces; export the results of its runs"
    elif {"source", "error", "raw"} <= keys:
        what = "the rejects of an export hold no traces"
    elif keys & {"messages", "conversations", "chosen"}:
        what = "the records of an export hold no traces"
    else:
        named = ", ".join(key[:_LONGEST_KEY] for key in sorted(keys)[:_NAMED_KEYS]) or "no keys"
        expected = "expected eval results (`eval_set_id` and `case_results`) or a trace (`case_id` and `invocation`)"
        return _UnknownObjectError(source, f"{expected}, found an object with {named}")
    return NoTracesError(source, what)
