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
    """The source is JSON, but of a kind that holds no traces."""


def recognise(window: Window) -> Kind:
    """Return the kind of the source at whose start a window stands; the window keeps what it has read.

    Raises:
        NoTracesError: It is a JSON object that holds no traces: a report artifact, an eval set, another object.
        SourceError: It is empty.
        BadRecordError: It does not start with a JSON object.
    """
    scan = JsonScan(window)
    start = scan.skip_space(0)
    if not scan.byte(start):
        raise SourceError(window.source, "the file is empty")
    line = 1 + window.data.count(b"\n", window.start, window.start + start)
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
    raise NoTracesError(window.source, _other(seen))


def _kind(keys: set[str]) -> Kind | None:
    if "case_results" in keys:
        return Kind.DOCUMENT
    return Kind.LINES if keys & {"case_id", "invocation"} else None


def _other(keys: set[str]) -> str:
    if {"schema_version", "cases"} <= keys:
        return "a report artifact holds no traces; export the eval results that it was made from"
    if {"id", "cases"} <= keys:
        return "an eval set holds no traces; export the results of its runs"
    named = ", ".join(sorted(keys)[:_NAMED_KEYS]) or "no keys"
    return (
        f"expected eval results (`eval_set_id` and `case_results`, or one trace a line), found an object with {named}"
    )
