"""Tell from a source's first bytes what it holds; its name plays no part."""

from __future__ import annotations

from contextlib import suppress
from enum import Enum, auto
from itertools import islice
from pathlib import Path

from polars_export.decode import parse
from polars_export.errors import BadRecordError, SourceError
from polars_export.names import REJECTS
from polars_export.sources.lines import line_chunks
from polars_export.sources.scan import JsonScan
from polars_export.sources.stream import ByteStream, Window, is_piped

__all__ = ["Kind", "NoTracesError", "recognise"]

_NAMED_KEYS = 5
_LONGEST_KEY = 40  # characters of a key in a message
_MOST_KEYS = 10_000  # before one that tells the kind; a document or a trace has a dozen
_OF_A_TRACE = b'"invocation"'


class Kind(Enum):
    """What a source holds."""

    LINES = auto()
    DOCUMENT = auto()


class NoTracesError(SourceError):
    """The source is of a known kind that holds no traces."""


class _UnknownKindError(SourceError):
    """The source starts with an object of no known kind."""


def recognise(window: Window, *, tolerant: bool = False) -> Kind:
    """Return the kind of the source at whose start a window stands; the window keeps what it has read.

    Args:
        window: Is read no further than its limit.
        tolerant: Take what starts with anything else for lines if a later line is a trace.

    Raises:
        NoTracesError: It is of a known kind that holds no traces: a report artifact, an eval set, an array, records.
        SourceError: It is empty, or an object of no known kind.
        BadRecordError: It does not start with JSON, or what tells its kind lies behind the limit.
    """
    try:
        return _recognised(window)
    except (BadRecordError, _UnknownKindError):
        if tolerant and _holds_a_trace(window):
            return Kind.LINES
        raise
    except NoTracesError:
        if tolerant and _starts_with_a_line(window) and _holds_a_trace(window):
            return Kind.LINES
        raise


def _recognised(window: Window) -> Kind:
    scan = JsonScan(window)
    start = scan.skip_space(0)
    if not scan.byte(start):
        if Path(window.source).name == REJECTS:  # an export writes them also if there are none
            raise NoTracesError(window.source, "the rejects of an export in which nothing was bad")
        raise SourceError(window.source, "the file is empty")
    line = 1 + window.data.count(b"\n", window.start, window.start + start)
    if scan.byte(start) == b"[":
        raise NoTracesError(
            window.source, "a JSON array holds no traces; expected a results document, or a trace a line"
        )
    if scan.byte(start) != b"{":
        found = bytes(window.view(min(start + 20, len(window)))[start:]).split(b"\n")[0].decode("utf-8", "replace")
        raise BadRecordError(window.source, line, "$", "a JSON object", f"text that starts with {found!r}")
    seen: set[str] = set()
    try:
        for key, _ in islice(scan.keys(start), _MOST_KEYS):
            seen.add(key)
            if kind := _kind(seen):
                return kind
    except BadRecordError as error:
        raise BadRecordError(window.source, line, "$", error.expected, error.found) from None
    raise _other(window.source, seen)


def _starts_with_a_line(window: Window) -> bool:
    """Return whether what a window starts with ends where its line does."""
    start = JsonScan(window).skip_space(0)
    newline = window.data.find(b"\n", window.start + start, window.end)
    try:
        parse(window.view(newline - window.start if newline >= 0 else len(window))[start:])
    except ValueError:
        return False
    return True


def _holds_a_trace(window: Window) -> bool:
    """Read on until a whole line is a trace, or the window is full."""
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
        if at_end:
            return False
        if len(window) > window.limit:
            return _goes_on_with_a_trace(window)
        if found < 0:  # what has been searched need not be searched again, but for the line that goes on
            at = max(at, window.data.rfind(b"\n", window.start, window.end) + 1 - window.start)
        at_end = not window.more()


def _goes_on_with_a_trace(window: Window) -> bool:
    """Look for one in what the window cannot hold, in a second reading; a pipe has none, and may hold one."""
    if is_piped(window.source):
        return True
    with ByteStream(window.source) as again, suppress(SourceError):
        for chunk in line_chunks(Window(again, window.limit)):
            lines = (chunk.data[start:end] for start, end in chunk.spans)
            if not chunk.too_large and any(_OF_A_TRACE in bytes(line) and _is_trace(line) for line in lines):
                return True
    return False


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
        return _UnknownKindError(source, f"{expected}, found an object with {named}")
    return NoTracesError(source, what)
