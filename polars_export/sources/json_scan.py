"""Find where JSON values end without decoding them, in a window that may have only a part of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from polars_export.errors import BadRecordError
from polars_export.json_values import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polars_export.sources.window import Window

__all__ = ["MAX_DEPTH", "JsonScan"]

MAX_DEPTH = 1_000_000
"""Levels of nesting: a hundred times what can be decoded. A file of brackets reaches it soon."""

_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_REST_OF_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+("?)', re.DOTALL)
_SCALAR = re.compile(rb"[^ \t\r\n,:\]}]*+")
_NO_BRACKET = (b'"', b"")
_TO_BRACKET = re.compile(  # to the next bracket outside strings; or to a quote that nothing closes, or to the end
    rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+([{}\[\]]|"|\Z)', re.DOTALL
)


class JsonScan:
    """Steps through the JSON text in a window and reads more as needed. All positions are offsets into the window.

    Attributes:
        begin: Where the current value begins. From there on no more is read than the limit of the window.

    Raises:
        BadRecordError: The text ends early, is no JSON where that can be seen, or a value is too large.
    """

    def __init__(self, window: Window) -> None:
        self.window = window
        self.begin = 0

    def byte(self, at: int) -> bytes:
        """Return the byte at an offset, empty at the end of the stream."""
        window = self.window
        while at >= len(window):
            if not self._more():
                return b""
        return bytes(window.data[window.start + at : window.start + at + 1])

    def skip_space(self, at: int) -> int:
        """Return the offset of the first byte that is not white space."""
        return self._end_of(_SPACE, at)

    def keys(self, at: int) -> Iterator[tuple[str, int]]:
        """Yield every key of the object whose `{` stands at an offset, with the offset of its value."""
        at = self.skip_space(at + 1)
        if self.byte(at) == b"}":
            return
        while True:
            self.expect(b'"', at, "a key")
            end = self.end_of_value(at)
            key = self._key(at, end)
            at = self.skip_space(end)
            self.expect(b":", at, "`:`")
            at = self.skip_space(at + 1)
            yield key, at
            at = self.skip_space(self.end_of_value(at))
            if self.byte(at) == b"}":
                return
            self.expect(b",", at, "`,` or `}`")
            at = self.skip_space(at + 1)

    def end_of_value(self, at: int) -> int:
        """Return the offset just behind the value that starts at an offset."""
        while (end := self.end_if_held(at)) is None:
            self._read_on()
        return end

    def end_if_held(self, at: int) -> int | None:
        """Return the same; None for an object, array or string of which the window has only a part."""
        first = self.byte(at)
        if first in (b"{", b"["):
            return self.end_of_nested(at)
        if first != b'"':
            return self._end_of(_SCALAR, at)
        match = _STRING.match(self.window.data, self.window.start + at, self.window.end)
        return match.end() - self.window.start if match else None

    def end_of_nested(self, at: int) -> int | None:
        """Return the offset just behind the object or array at an offset; None if the window has only a part of it."""
        window = self.window
        depth = 0
        start = window.start
        for match in _TO_BRACKET.finditer(window.data, start + at, window.end):
            bracket = match[1]
            if bracket in (b"{", b"["):
                depth += 1
                if depth > MAX_DEPTH:
                    raise BadRecordError(window.source, None, "$", f"at most {MAX_DEPTH:,} levels of nesting", "more")
            elif bracket in (b"}", b"]"):
                depth -= 1
                if depth == 0:
                    return match.end() - start
            else:
                break
        return None

    def drop_large(self, beginning_bytes: int) -> tuple[bytes, int]:
        """Drop the object, array or string of which the window has a part; return its first bytes and its size."""
        window, beginning = self.window, bytearray()
        size = depth = 0
        in_string = False
        while not size or depth or in_string:
            pattern = _REST_OF_STRING if in_string else _TO_BRACKET
            at = window.start
            for match in pattern.finditer(window.data, at, window.end):
                at, found = match.end(), match[1]
                if in_string or found in _NO_BRACKET:
                    in_string = (found == b'"') != in_string
                    break
                depth += 1 if found in (b"{", b"[") else -1
                if not depth:
                    break
            dropped = at - window.start
            beginning += window.view(min(dropped, beginning_bytes - len(beginning)))
            window.drop(dropped)
            size += dropped
            if not dropped:
                self._read_on()
        return bytes(beginning), size

    def expect(self, byte: bytes, at: int, what: str) -> None:
        """Raise unless this byte stands at an offset."""
        if (found := self.byte(at)) != byte:
            shown = f"`{found.decode('ascii', 'backslashreplace')}`" if found else "the end of the file"
            raise BadRecordError(self.window.source, None, "$", what, shown)

    def _key(self, at: int, end: int) -> str:
        try:
            return str(parse(self.window.view(end)[at:]))
        except ValueError as error:
            raise BadRecordError(self.window.source, None, "$", "a key", f"text that is none ({error})") from None

    def _end_of(self, pattern: re.Pattern[bytes], at: int) -> int:
        """Return the end of a match that could go on behind the window, unless the stream ends there."""
        window = self.window
        while True:
            match = pattern.match(window.data, window.start + at, window.end)
            end = match.end() - window.start if match else at
            if end < len(window) or not self._more():
                return end

    def _read_on(self) -> None:
        if not self._more():
            raise BadRecordError(self.window.source, None, "$", "the rest of the document", "the end of the file")

    def _more(self) -> bool:
        limit = self.window.limit
        if len(self.window) - self.begin > limit:
            raise BadRecordError(self.window.source, None, "$", f"a value of at most {limit:,} bytes", "a larger one")
        return self.window.more()
