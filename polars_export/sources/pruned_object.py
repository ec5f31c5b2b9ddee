"""Read a JSON object that is too large to be held, and keep only what is needed of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.errors import BadRecordError
from polars_export.json_values import parse
from polars_export.sources.json_scan import JsonScan

if TYPE_CHECKING:
    from polars_export.sources.window import Window

__all__ = ["prune"]


def prune(window: Window, keys: frozenset[str], first_of: tuple[str, tuple[bytes, ...]] | None = None) -> bytes:
    """Return the object at the start of a window with some of its keys only; the window is read to the object's end.

    Args:
        window: Holds a few megabytes at a time, and at most one value that is kept.
        keys: The keys.
        first_of: One of them whose value is an array, and texts: of the array only the first element that holds all of
            these texts is kept.

    Raises:
        BadRecordError: The text is no object, ends early, or a value that is kept is larger than the window's limit.
    """
    return _Pruner(window, keys, first_of).run()


class _Pruner:
    def __init__(self, window: Window, keys: frozenset[str], first_of: tuple[str, tuple[bytes, ...]] | None) -> None:
        self._window, self._keys = window, keys
        self._first_of = first_of[0] if first_of else None
        self._texts = first_of[1] if first_of else ()
        self._scan = JsonScan(window)
        self._kept: list[bytes] = []

    def run(self) -> bytes:
        if not self._begins(b"{", b"}"):
            return b"{}"
        while True:
            key = self._key()
            if key == self._first_of and self._scan.byte(0) == b"[":
                self._keep(key, self._first_element())
            elif key in self._keys:
                self._keep(key, self._value())
            else:
                self._skip()
            if not self._goes_on(b"}"):
                return b"{" + b",".join(self._kept) + b"}"

    def _begins(self, opening: bytes, closing: bytes) -> bool:
        """Drop the opening bracket; return whether something stands behind it."""
        at = self._scan.skip_space(0)
        self._scan.expect(opening, at, f"`{opening.decode()}`")
        self._drop(at + 1)
        at = self._scan.skip_space(0)
        if self._scan.byte(at) == closing:
            self._drop(at + 1)
            return False
        self._drop(at)
        return True

    def _goes_on(self, closing: bytes) -> bool:
        """Drop what stands behind a value; return whether another follows."""
        at = self._scan.skip_space(0)
        goes_on = self._scan.byte(at) == b","
        if not goes_on:
            self._scan.expect(closing, at, f"`,` or `{closing.decode()}`")
        self._drop(self._scan.skip_space(at + 1) if goes_on else at + 1)
        return goes_on

    def _key(self) -> str:
        """Drop the next key and its colon."""
        self._scan.expect(b'"', 0, "a key")
        end = self._scan.end_of_value(0)
        try:
            key = str(parse(self._window.view(end)))
        except ValueError as error:
            raise BadRecordError(self._window.source, None, "$", "a key", f"text that is none ({error})") from None
        at = self._scan.skip_space(end)
        self._scan.expect(b":", at, "`:`")
        self._drop(self._scan.skip_space(at + 1))
        return key

    def _value(self) -> bytes:
        """Drop the next value and return it."""
        end = self._scan.end_of_value(0)
        value = bytes(self._window.view(end))
        self._drop(end)
        return value

    def _skip(self) -> None:
        """Drop the next value without holding it."""
        while (end := self._scan.end_if_held(0)) is None:
            if len(self._window) >= self._window.size:
                self._scan.drop_large(0)
                return
            if not self._window.more():
                break
        self._drop(end if end is not None else self._scan.end_of_value(0))

    def _first_element(self) -> bytes:
        """Drop the array that follows; return an array of the first element with all of the texts."""
        found = b""
        if not self._begins(b"[", b"]"):
            return b"[]"
        while True:
            if found:
                self._skip()
            else:
                element = self._value()
                found = element if all(text in element for text in self._texts) else b""
            if not self._goes_on(b"]"):
                return b"[" + found + b"]"

    def _keep(self, key: str, value: bytes) -> None:
        self._kept.append(b'"' + key.encode() + b'":' + value)

    def _drop(self, length: int) -> None:
        self._window.drop(length)
        self._scan.begin = 0
