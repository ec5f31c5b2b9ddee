"""Recognise what a source holds by its first bytes; its name plays no part."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from enum import Enum, auto
from itertools import islice
from typing import TYPE_CHECKING

from polars_export.errors import BadRecordError, SourceError
from polars_export.inputs.dialect import Match
from polars_export.inputs.no_traces import AccompaniesError, NoTracesError, OtherContainerError, UnknownKindError
from polars_export.inputs.read_options import DEFAULT
from polars_export.inputs.recognise import Recognisers
from polars_export.json_values import parse
from polars_export.sources.json_lines import line_chunks
from polars_export.sources.json_scan import JsonScan
from polars_export.sources.stream import ByteStream, is_piped
from polars_export.sources.whole_document import DOCUMENT
from polars_export.sources.window import CHUNK_BYTES, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polars_export.inputs.read_options import ReadOptions

__all__ = ["detect", "starts_with_other_object"]

_NAMED_KEYS = 5
_LONGEST_KEY = 40  # characters of a key in a message
_LARGEST_DOCUMENT = 32 << 20  # bytes of a document that is looked through as a whole
_MOST_KEYS = 10_000  # before one that decides; a document or a trace has a dozen


class _FirstLine(Enum):
    """What the first line of a source is that is not blank."""

    VALUE = auto()  # or so long that it is not held to its end
    BEGINNING = auto()  # of a value that goes on behind it, as in JSON that is set out to be read
    BROKEN = auto()


class _UnknownTextError(BadRecordError):
    """The source does not start with a JSON object, or with a broken one of no known kind."""


def detect(window: Window, options: ReadOptions = DEFAULT, *, searched: bool = False) -> Match:
    """Return what the source is at whose start a window stands; the window keeps what it has read.

    Where a first line that is no trace stands for itself and a later line is a trace, the source is one of lines.

    Args:
        window: Is read no further than its limit.
        options: What the user says of the sources; with `tolerant`, what starts with anything else is taken for lines
            if a later line is a trace.
        searched: The source was found in a search and not named by the user: one of no known kind holds no traces.

    Raises:
        NoTracesError: It is empty, or of a known kind that holds no traces: a report artifact, an eval set, an array of
            other values, records of an export.
        AccompaniesError: It was found in a search, and belongs to another source.
        UnknownKindError: It starts with an object of no known kind.
        BadRecordError: It does not start with JSON, or what decides its kind lies behind the limit; or it is of lines
            among which the first is of another kind, and that is not tolerated.
    """
    asked, tolerant = Recognisers(options), options.tolerant
    if searched and asked.accompanies(window):
        raise AccompaniesError(window.source)
    try:
        match = _match_start(window, asked)
    except (BadRecordError, UnknownKindError) as error:
        if (tolerant or searched) and (later := _match_later_line(window, asked)):
            if tolerant:
                return later
            raise
        if searched and isinstance(error, _UnknownTextError | UnknownKindError):
            raise NoTracesError(window.source, _problem(error)) from None
        raise
    except OtherContainerError:
        raise
    except NoTracesError as error:
        return _match_behind(window, asked, error, tolerant=tolerant)
    if match.layout == DOCUMENT:
        return _as_lines(window, match) or match
    is_lines = _has_second_line(window) and _first_line(window) is not _FirstLine.BEGINNING
    if tolerant and match.layout and match.layout.is_stream and is_lines:
        return _match_later_line(window, asked) or match
    return match


def starts_with_other_object(window: Window) -> bool:
    """Return whether a source starts with an object whose keys do not say that it is a trace, or holds traces.

    The window, which stands at its start, keeps what it has read: of a document of traces only the beginning.
    """
    scan, asked = JsonScan(window), Recognisers(DEFAULT)
    start = _start_of(window)
    if scan.byte(start) != b"{":
        return False
    keys: set[str] = set()
    with suppress(BadRecordError):
        for key, _ in islice(scan.keys(start), _MOST_KEYS):
            keys.add(key)
            if asked.keys(keys):
                return False
    return True


def _as_lines(window: Window, match: Match) -> Match | None:
    """Return how lines are read of which the first was recognised as a document; None if it is one."""
    start = _start_of(window)
    while window.data.find(b"\n", window.start + start, window.end) < 0 and len(window) <= window.limit:
        if not window.more():
            return None
    while not _has_second_line(window) and len(window) <= window.limit and window.more():
        pass
    is_document = not _has_second_line(window) or _first_line(window) is _FirstLine.BEGINNING
    return None if is_document else replace(match, layout=None)


def _problem(error: BadRecordError | UnknownKindError) -> str:
    if isinstance(error, UnknownKindError):
        return error.problem
    return f"expected {error.expected}, found {error.found}"


def _match_behind(window: Window, asked: Recognisers, error: NoTracesError, *, tolerant: bool) -> Match:
    """Look for a trace among the lines behind a first one that is none.

    Raises:
        NoTracesError: There is no such line.
        BadRecordError: There is one, and that is not tolerated.
    """
    may_read_on = tolerant or not is_piped(window.source)
    later = None
    if may_read_on and _first_line(window) is not _FirstLine.BEGINNING:
        later = _match_later_line(window, asked)
    if not later:
        raise error
    if tolerant:
        return later
    line = _line_at(window, _start_of(window))
    raise BadRecordError(window.source, line, "$", "a trace, as in a later line", error.problem) from None


def _match_start(window: Window, asked: Recognisers) -> Match:
    scan = JsonScan(window)
    start = _start_of(window)
    if not scan.byte(start):
        raise NoTracesError(window.source, "the file is empty")
    if match := asked.container(window):
        return match
    line = _line_at(window, start)
    if scan.byte(start) == b"[" and _first_line(window) is not _FirstLine.BROKEN:
        if match := asked.array(window, start):
            return match
        raise NoTracesError(window.source, f"a JSON array of other values holds no traces; expected {asked.expected}")
    if scan.byte(start) != b"{":
        found = bytes(window.view(min(start + 20, len(window)))[start:]).split(b"\n")[0].decode("utf-8", "replace")
        raise _UnknownTextError(window.source, line, "$", "a JSON object", f"text that starts with {found!r}")
    return asked.mapped_text(window, start) if asked.mapping else _match_object(window, start, asked)


def _match_object(window: Window, start: int, asked: Recognisers) -> Match:
    """Ask by the first keys of the object at an offset, then by all of it."""
    keys: set[str] = set()
    try:
        for key, _ in islice(JsonScan(window).keys(start), _MOST_KEYS):
            keys.add(key)
            if match := asked.keys(keys):
                return match
    except BadRecordError as error:
        kind_of_error = BadRecordError if asked.own_keys(keys) else _UnknownTextError
        raise kind_of_error(window.source, _line_at(window, start), "$", error.expected, error.found) from None
    if match := _match_first_line(window, start, asked) or _match_document(window, start, asked):
        return match
    raise _other(window.source, keys, asked)


def _match_first_line(window: Window, start: int, asked: Recognisers) -> Match | None:
    """Ask by the whole first line, if the window holds it."""
    newline = window.data.find(b"\n", window.start + start, window.end)
    end = newline if newline >= 0 else window.end
    return _match_line(memoryview(window.data)[window.start + start : end], window.source, asked)


def _match_line(line: memoryview, source: str, asked: Recognisers) -> Match | None:
    try:
        return asked.record(parse(line), source)
    except ValueError:
        return None


def _match_document(window: Window, start: int, asked: Recognisers) -> Match | None:
    """Ask by the whole document, which the window holds since its keys were read."""
    if len(window) > _LARGEST_DOCUMENT or _first_line(window) is not _FirstLine.BEGINNING:
        return None
    end = JsonScan(window).end_of_value(start)
    match = _match_line(window.view(end)[start:], window.source, asked)
    return replace(match, layout=DOCUMENT) if match else None


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
    """Return whether something is held behind the first line: it need not be read to recognise a document."""
    newline = window.data.find(b"\n", window.start + _start_of(window), window.end)
    return newline >= 0 and not window.data[newline : window.end].isspace()


def _match_later_line(window: Window, asked: Recognisers) -> Match | None:
    """Return what the first line is that is a trace: of a file in a second reading, of a pipe in what is held."""
    if is_piped(window.source):
        return _match_piped_line(window, asked)
    if not _has_markers(window.source, asked.markers):
        return None
    with ByteStream(window.source) as again, suppress(SourceError):
        for chunk in line_chunks(Window(again, window.limit)):
            for start, end in () if chunk.oversized else chunk.spans:
                line = chunk.data[start:end]
                if asked.may_be_record(bytes(line)) and (match := _match_line(line, window.source, asked)):
                    return match
    return None


def _has_markers(source: str, markers: Sequence[bytes]) -> bool:
    """Return whether a file has a marker anywhere: fast, also for a large one."""
    overlap = max(map(len, markers)) - 1
    block = bytearray(overlap + CHUNK_BYTES)
    with ByteStream(source) as stream, suppress(SourceError):
        while count := stream.readinto(memoryview(block)[overlap:]):
            if any(block.find(marker, 0, overlap + count) >= 0 for marker in markers):
                return True
            block[:overlap] = block[count : count + overlap]
    return False


def _match_piped_line(window: Window, asked: Recognisers) -> Match | None:
    """Read on until a whole line is a trace. Of a full window without one, lines of the first dialect are assumed."""
    at, at_end = 0, False
    while True:
        newline = window.data.find(b"\n", window.start + at, window.end)
        end = window.end if newline < 0 and at_end else newline
        if end >= 0:
            line = memoryview(window.data)[window.start + at : end]
            if asked.may_be_record(bytes(line)) and (match := _match_line(line, window.source, asked)):
                return match
            if newline >= 0:
                at = newline + 1 - window.start
                continue
        if at_end:
            return None
        if len(window) > window.limit:
            return Match(asked.first.name)
        at_end = not window.more()


def _other(source: str, keys: set[str], asked: Recognisers) -> SourceError:
    if what := asked.describe_other(keys):
        return NoTracesError(source, what)
    if {"source", "error", "raw"} <= keys:
        return NoTracesError(source, "the rejects of an export hold no traces")
    if keys & {"messages", "conversations", "chosen"}:
        return NoTracesError(source, "the records of an export hold no traces")
    named = ", ".join(key[:_LONGEST_KEY] for key in sorted(keys)[:_NAMED_KEYS]) or "no keys"
    return UnknownKindError(source, f"expected {asked.expected}, found an object with {named}")
