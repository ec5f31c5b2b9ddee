"""Tell from a source's first bytes what it holds; its name plays no part."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from polars_export.errors import BadRecordError, SourceError
from polars_export.sources.scan import JsonScan

if TYPE_CHECKING:
    from polars_export.sources.stream import Window

__all__ = ["Kind", "NoTracesError", "recognise"]

_NAMED_KEYS = 5


class Kind(Enum):
    """What a source holds."""

    LINES = auto()
    DOCUMENT = auto()


class NoTracesError(SourceError):
    """The source is of a known kind that holds no traces."""


def recognise(window: Window) -> Kind:
    """Return the kind of the source at whose start a window stands; the window keeps what it has read.

    Raises:
        NoTracesError: It is of a known kind that holds no traces: a report artifact, an eval set, an array, records.
        SourceError: It is empty, or an object of no known kind.
        BadRecordError: It does not start with JSON.
    """
    scan = JsonScan(window)
    start = scan.skip_space(0)
    if not scan.byte(start):
        raise SourceError(window.source, "the file is empty")
    line = 1 + window.data.count(b"\n", window.start, window.start + start)
    if scan.byte(start) == b"[":
        raise NoTracesError(
            window.source, "a JSON array holds no traces; expected a results document, or a trace a line"
        )
    if scan.byte(start) != b"{":
        found = bytes(window.view(len(window))[start : start + 20]).split(b"\n")[0].decode("utf-8", "replace")
        raise BadRecordError(window.source, line, "$", "a JSON object", f"text that starts with {found!r}")
    seen: set[str] = set()
    try:
        for key, _ in scan.keys(start):
            seen.add(key)
            if kind := _kind(seen):
                return kind
    except BadRecordError as error:
        raise BadRecordError(window.source, line, "$", error.expected, error.found) from None
    raise _other(window.source, seen)


def _kind(keys: set[str]) -> Kind | None:
    if "case_results" in keys:
        return Kind.DOCUMENT
    return Kind.LINES if "invocation" in keys else None


def _other(source: str, keys: set[str]) -> SourceError:
    if {"schema_version", "cases"} <= keys:
        what = "a report artifact holds no traces; export the eval results that it was made from"
    elif {"id", "cases"} <= keys:
        what = "an eval set holds no traces; export the results of its runs"
    elif keys & {"messages", "conversations", "chosen"}:
        what = "the records of an export hold no traces"
    else:
        named = ", ".join(sorted(keys)[:_NAMED_KEYS]) or "no keys"
        expected = "expected eval results (`eval_set_id` and `case_results`) or a trace (`case_id` and `invocation`)"
        return SourceError(source, f"{expected}, found an object with {named}")
    return NoTracesError(source, what)
