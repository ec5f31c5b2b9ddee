"""JSON documents whose records are the elements of one array, found without holding the document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import msgspec

from polars_export.errors import BadRecordError, InputError, SourceError
from polars_export.json_values import Json, describe_value, parse
from polars_export.sources.array_lookahead import ArrayLookahead
from polars_export.sources.chunk import RAW_BYTES, Chunk, OversizedRecord, split_oversized
from polars_export.sources.json_scan import JsonScan
from polars_export.sources.stream import ByteStream, is_piped
from polars_export.sources.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ArrayLayout", "peek_elements"]

Header: TypeAlias = dict[str, Json]

_NESTED_OR_NONE = {b"": "the end of the file", b"{": "an object", b"[": "an array"}  # whatever they hold


@dataclass(frozen=True, slots=True)
class ArrayLayout:
    """The records of a document are the elements of one array.

    Attributes:
        array: The keys that lead to it; none where the document is the array.
        header: The keys of the document whose values every record needs.
        record: What a record is called in messages; its plural ends in `s`.
        needs_header: Whether these keys must be there, with strings.
    """

    array: tuple[str, ...]
    header: tuple[str, ...] = ()
    record: str = "record"
    needs_header: bool = False
    is_stream: ClassVar[bool] = True

    def chunks(self, window: Window, /) -> Iterator[Chunk]:
        """Yield the records of the document at the start of a window.

        Those that precede a place where the document is damaged are yielded before the error. Of a record that is
        larger than the limit of the window only the beginning is yielded, as a chunk of its own.

        Raises:
            BadRecordError: The document is not valid JSON around its records, ends early, lacks its header, or what
                stands around the records is too large.
        """
        document = _Document(window, self)
        document.open()
        if not document.has_header:  # it may stand behind the records: look for it first
            document.header = self._header_of(window)
        yield from document.elements(document.header)
        document.close()

    def _header_of(self, window: Window) -> Header:
        if is_piped(window.source):
            if not self.needs_header:
                return {}
            keys = " and ".join(self.header)
            raise SourceError(window.source, f"a piped document must have its {keys} before its {self.array[-1]}")
        with ByteStream(window.source) as again:
            ahead = _Document(Window(again, window.limit), self)
            ahead.open()
            for _ in ahead.elements({}):
                pass
            return ahead.close()


def peek_elements(window: Window, start: int, layout: ArrayLayout, most: int) -> list[bytes]:
    """Return the first elements of the array in the document at an offset, and leave the window as it is.

    The first one is read to its end, the others as far as the window holds them.

    Raises:
        BadRecordError: There is no such array.
    """
    scan = JsonScan(window)
    at = start
    for key in layout.array:
        scan.expect(b"{", at, "an object")
        found = next((value_at for name, value_at in scan.keys(at) if name == key), None)
        if found is None:
            path = ".".join(["$", *layout.array])
            raise BadRecordError(window.source, None, path, "an array", "no such field")
        at = found
    scan.expect(b"[", at, "an array")
    elements: list[bytes] = []
    at = scan.skip_space(at + 1)
    while len(elements) < most and scan.byte(at) != b"]":
        end = scan.end_if_held(at) if elements else scan.end_of_value(at)
        if end is None or end == at:
            break
        elements.append(bytes(window.view(end)[at:]))
        at = scan.skip_space(end)
        if scan.byte(at) != b",":
            break
        at = scan.skip_space(at + 1)
    return elements


class _Document:
    """One pass over a document: `open`, then all the `elements`, then `close`."""

    def __init__(self, window: Window, layout: ArrayLayout) -> None:
        self._layout = layout
        self._path = ".".join(["$", *layout.array])
        self._window = window
        self._scan = JsonScan(window)
        self._lookahead = ArrayLookahead(window)
        self._around = b""  # the document without its records
        self.header: Header = {}

    @property
    def has_header(self) -> bool:
        """Whether all of the header has been read."""
        return len(self.header) == len(self._layout.header)

    def open(self) -> None:
        """Go to the first record; of the header read what stands before that."""
        self._open(self._scan.skip_space(0), self._layout.array, self._layout.header)

    def _open(self, at: int, path: tuple[str, ...], header: tuple[str, ...]) -> bool:
        """Go to the first element of the array to which a path leads from the value at an offset."""
        if not path:
            self._enter(at)
            return True
        if self._scan.byte(at) != b"{":
            raise self._bad("$", "an object", self._found(at))
        for key, value_at in self._scan.keys(at):
            if key == path[0] and self._open(value_at, path[1:], ()):
                return True
            if key in header:
                self._add_header(key, self._value(value_at))
        if not header and len(path) < len(self._layout.array):
            return False
        raise self._bad(self._path, "an array", "no such field")

    def _add_header(self, key: str, value: Json) -> None:
        if self._layout.needs_header and not isinstance(value, str):
            raise self._bad(f"$.{key}", "a string", describe_value(value))
        self.header[key] = value

    def elements(self, header: Header) -> Iterator[Chunk]:
        """Yield the records, as many at a time as the window holds; it grows for one that is larger."""
        window, text = self._window, _text_of(header)
        index, at = 0, self._scan.skip_space(0)
        self._lookahead.learn(b"," + bytes(window.view(at)), at)  # what follows a `[` mostly follows a `,` too
        while True:
            spans: list[tuple[int, int]] = []
            try:
                at = self._gather(spans, at, index)
            except InputError as error:
                yield from self._chunks(spans, index, text)
                if not isinstance(error, BadRecordError):
                    raise
                raise self._bad(f"{self._path}[{index + len(spans)}]", error.expected, error.found) from None
            if not spans and self._scan.byte(at) == b"]":
                window.drop(at)
                return
            if spans:
                yield from self._chunks(spans, index, text)
                index += len(spans)
            else:
                window.drop(at)
                yield self._skip_oversized(index, text)
                index += 1
                at = self._next(0, index)
            window.drop(at)
            self._scan.begin = at = 0

    def close(self) -> Header:
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
        array = around
        for key in self._layout.array:
            array = array[key]
        if array != []:
            raise self._bad(self._path, "one such field", "another one")
        for key in self._layout.header:
            if key in around:
                self._add_header(key, around[key])
            elif self._layout.needs_header:
                raise self._bad(f"$.{key}", "a string", "no such field")
        return self.header

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

    def _value(self, at: int) -> Json:
        end = self._scan.end_of_value(at)
        try:
            value: Json = parse(self._window.view(end)[at:])
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


def _text_of(header: Header) -> str | None:
    return msgspec.json.encode(header).decode() if header else None
