"""JSON documents whose records are the elements of one array, found without holding the document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from polars_export.errors import BadRecordError, InputError, SourceError
from polars_export.json_values import describe_value, parse
from polars_export.sources.array_lookahead import ArrayLookahead
from polars_export.sources.chunk import RAW_BYTES, Chunk, OversizedRecord, split_oversized
from polars_export.sources.json_scan import JsonScan
from polars_export.sources.stream import ByteStream, is_piped
from polars_export.sources.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ArrayLayout", "array_chunks"]

_NESTED_OR_NONE = {b"": "the end of the file", b"{": "an object", b"[": "an array"}  # whatever they hold


@dataclass(frozen=True, slots=True)
class ArrayLayout:
    """Where the records of a document are.

    Attributes:
        array: The key of the array that holds them.
        header: The key of a string that every record needs.
        record: What one of them is called in messages; its plural ends in `s`.
    """

    array: str
    header: str
    record: str


def array_chunks(window: Window, layout: ArrayLayout) -> Iterator[Chunk]:
    """Yield the records of the document at the start of a window.

    Those that precede a place where the document is damaged are yielded before the error. Of a record that is larger
    than the limit of the window only the beginning is yielded, as a chunk of its own.

    Raises:
        BadRecordError: The document is not valid JSON around its records, ends early, lacks its header, or what stands
            around the records is too large.
    """
    document = _Document(window, layout)
    header = document.open()
    if header is None:  # it stands behind the records: look for it first
        if is_piped(window.source):
            problem = f"a piped document must have its {layout.header} before its {layout.array}"
            raise SourceError(window.source, problem)
        with ByteStream(window.source) as again:
            ahead = _Document(Window(again, window.limit), layout)
            ahead.open()
            for _ in ahead.elements(None):
                pass
            header = ahead.close()
    yield from document.elements(header)
    document.close()


class _Document:
    """One pass over a document: `open`, then all the `elements`, then `close`."""

    def __init__(self, window: Window, layout: ArrayLayout) -> None:
        self._layout = layout
        self._path = f"$.{layout.array}"
        self._window = window
        self._scan = JsonScan(window)
        self._lookahead = ArrayLookahead(window)
        self._around = b""  # the document without its records

    def open(self) -> str | None:
        """Go to the first record; return the document's header if it stands before that."""
        header: str | None = None
        for key, at in self._scan.keys(self._scan.skip_space(0)):
            if key == self._layout.array:
                self._enter(at)
                break
            if key == self._layout.header:
                value = self._value(at)
                if not isinstance(value, str):
                    raise self._bad(f"$.{key}", "a string", describe_value(value))
                header = value
        return header

    def elements(self, header: str | None) -> Iterator[Chunk]:
        """Yield the records, as many at a time as the window holds; it grows for one that is larger."""
        window = self._window
        index, at = 0, self._scan.skip_space(0)
        self._lookahead.learn(b"," + bytes(window.view(at)), at)  # what follows a `[` mostly follows a `,` too
        while True:
            spans: list[tuple[int, int]] = []
            try:
                at = self._gather(spans, at, index)
            except InputError as error:
                yield from self._chunks(spans, index, header)
                if not isinstance(error, BadRecordError):
                    raise
                raise self._bad(f"{self._path}[{index + len(spans)}]", error.expected, error.found) from None
            if not spans and self._scan.byte(at) == b"]":
                window.drop(at)
                return
            if spans:
                yield from self._chunks(spans, index, header)
                index += len(spans)
            else:
                window.drop(at)
                yield self._skip_oversized(index, header)
                index += 1
                at = self._next(0, index)
            window.drop(at)
            self._scan.begin = at = 0

    def close(self) -> str:
        """Read the rest of the document, check what stands around the records and return the header."""
        rest = bytearray()
        while True:
            rest += self._window.view(len(self._window))
            if len(rest) > self._window.limit:
                raise self._bad("$", f"at most {self._window.limit:,} bytes around the {self._layout.record}s", "more")
            self._window.drop(len(self._window))
            if not self._window.more():
                break
        try:
            around = parse(self._around + rest)
        except ValueError as error:
            raise self._not_json(error) from None
        if around[self._layout.array] != []:
            raise self._bad(self._path, "one such field", "another one")
        header = around.get(self._layout.header, msgspec.UNSET)
        if not isinstance(header, str):
            found = "no such field" if header is msgspec.UNSET else describe_value(header)
            raise self._bad(f"$.{self._layout.header}", "a string", found)
        return header

    def _enter(self, at: int) -> None:
        if self._scan.byte(at) != b"[":
            raise self._bad(self._path, "an array", self._found(at))
        self._around = bytes(self._window.view(at + 1))
        self._window.drop(at + 1)

    def _gather(self, spans: list[tuple[int, int]], at: int, index: int) -> int:
        """Append to spans those elements that the window holds, the first at an offset; return that of what follows.

        `index` is that of the first element; there are none where the array ends, and where it is too large to be held.
        """
        scan, window = self._scan, self._window
        while scan.byte(at) != b"]":
            path = f"{self._path}[{index + len(spans)}]"
            found = [] if spans and at >= window.size else self._from(at)
            if found:
                spans += found
                at = self._next(spans[-1][1], index + len(spans))
            elif spans:
                break
            elif self._lookahead.waits(at):
                self._wait()
            elif len(window) - at > window.limit:
                break
            elif not window.more():
                raise self._bad(path, f"the rest of the {self._layout.record}", "the end of the file")
        return at

    def _from(self, at: int) -> list[tuple[int, int]]:
        """Return where elements start and end, the first at an offset; none if the window holds only a part of it.

        Where there is no object, any value is taken for an element: decoding finds out what it is.
        """
        self._scan.begin = at
        is_object = self._scan.byte(at) == b"{"
        if is_object:
            spans = self._lookahead.elements(at)
            if spans or self._lookahead.waits(at):
                return spans
        end = self._scan.end_if_held(at)
        if end is None:
            return []
        if end == at:
            raise self._bad("$", "an object", self._found(at))
        if is_object:
            self._lookahead.miss()
        return [(at, end)]

    def _wait(self) -> None:
        """Read on; where there is an error, what is held is scanned before anybody reads on again."""
        try:
            self._window.more()
        except SourceError:
            self._lookahead.miss()

    def _next(self, end: int, index: int) -> int:
        """Return the offset of the next element, or of the `]` behind the last."""
        self._scan.begin = end
        at = self._scan.skip_space(end)
        if self._scan.byte(at) == b"]":
            return at
        if self._scan.byte(at) != b",":
            raise self._bad(f"{self._path}[{index}]", "`,` or `]` before it", self._found(at))
        at = self._scan.skip_space(at + 1)
        if self._scan.byte(at) == b"]":
            raise self._bad(f"{self._path}[{index}]", f"a {self._layout.record} behind the `,`", "`]`")
        self._lookahead.learn(bytes(self._window.view(at)[end:]), at)
        return at

    def _chunks(self, spans: list[tuple[int, int]], index: int, header: str | None) -> Iterator[Chunk]:
        """Yield the elements of these spans, if there are any."""
        window = self._window
        if spans:
            data, positions = window.view(spans[-1][1]), range(index, index + len(spans))
            chunk = Chunk(window.source, data, spans, positions, self._path, header, window.offset)
            yield from split_oversized(chunk, window.limit)

    def _skip_oversized(self, index: int, header: str | None) -> Chunk:
        """Drop the element at the start of the window without holding all of it; return its beginning."""
        window = self._window
        offset = window.offset
        try:
            beginning, size = self._scan.drop_large(RAW_BYTES)
        except BadRecordError as error:
            raise self._bad(f"{self._path}[{index}]", f"the rest of the {self._layout.record}", error.found) from None
        oversized, spans = OversizedRecord(window.limit, size), [(0, len(beginning))]
        data = memoryview(beginning)
        return Chunk(window.source, data, spans, [index], self._path, header, offset, oversized)

    def _value(self, at: int) -> object:
        end = self._scan.end_of_value(at)
        try:
            value: object = parse(self._window.view(end)[at:])
        except ValueError as error:
            raise self._not_json(error) from None
        return value

    def _found(self, at: int) -> str:
        first = self._scan.byte(at)
        if first in _NESTED_OR_NONE:
            return _NESTED_OR_NONE[first]
        try:
            return describe_value(self._value(at))
        except BadRecordError:
            return "something that is not JSON"

    def _not_json(self, error: ValueError) -> BadRecordError:
        return self._bad("$", f"valid JSON around the {self._layout.record}s", f"text that is not ({error})")

    def _bad(self, path: str, expected: str, found: str) -> BadRecordError:
        return BadRecordError(self._window.source, None, path, expected, found)
