"""The tools of a sample: those of the first event of a model that has any."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from polars_export.inputs.inspect.attachments import resolved
from polars_export.json_values import parse
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.tool_schemas import tool_schemas

if TYPE_CHECKING:
    from polars_export.json_values import Json

__all__ = ["tools_of"]

_SOME_TOOLS = re.compile(rb'"tools":\s*+\[\s*+\{')
_FIRST_KEY = re.compile(rb'\[\s*+(\{\s*+"[^"\\]*+")')
_MOST_GUESSES = 4
_MOST_CACHED = 64


class _Event(Struct, gc=False):
    event: Any = None
    tools: Raw = Raw(b"null")


_decode = msgspec.json.Decoder(list[_Event] | None).decode
_cache: dict[bytes, list[str] | None] = {}  # attachments are named by their content: equal texts are equal tools


def tools_of(events: bytes, attachments: dict[str, Json], path: str) -> list[str] | None:
    """Return the function schemas of a sample's tools; None if no model had any.

    Args:
        events: The events as JSON.
        attachments: The texts that the sample keeps apart.
        path: The JSON path of the events.

    Raises:
        InvalidRecordError: They are no function schemas.
    """
    found = _SOME_TOOLS.search(events)
    raw = _first_tools(events, found.end()) if found else None
    if raw is None:
        return None
    if raw not in _cache:
        if len(_cache) >= _MOST_CACHED:
            _cache.clear()
        try:
            tools = parse(raw)
        except ValueError as error:
            raise InvalidRecordError(path, "tools that can be read", f"text that is not ({error})") from None
        _cache[raw] = tool_schemas(resolved(tools, attachments), path)
    return _cache[raw]


def _first_tools(events: bytes, at: int) -> bytes | None:
    """Return the tools of the first event of a model with any, which stand near an offset: decode no more than that.

    An event ends where the next begins with the same first key: that is only a guess, which decoding verifies.
    """
    first = _FIRST_KEY.match(events)
    separator = re.compile(rb"\}\s*+,\s*+" + re.escape(first[1])) if first else None
    guesses = separator.finditer(events, at) if separator else iter(())
    for _, guess in zip(range(_MOST_GUESSES), guesses, strict=False):
        if (raw := _tools_in(events[: guess.start() + 1] + b"]")) is not None:
            return raw
    return _tools_in(events)


def _tools_in(events: bytes) -> bytes | None:
    try:
        decoded = _decode(events) or []
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    tools = (bytes(event.tools) for event in decoded if event.event == "model")
    return next((raw for raw in tools if raw not in {b"null", b"[]"}), None)
