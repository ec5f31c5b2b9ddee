"""The keys of the first object of a source, read when somebody asks for them."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from polars_export.errors import BadRecordError, SourceError
from polars_export.sources.json_scan import JsonScan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polars_export.sources.window import Window

__all__ = ["FirstKeys"]


class FirstKeys(AbstractSet[str]):
    """The keys up to a value that the window holds only a part of, or to damage; none where no object comes first.

    No more is read for them: what is recognised by its first keys may be gigabytes long.
    """

    def __init__(self, window: Window) -> None:
        self._found: dict[str, None] = {}
        self._unread = _keys(window)

    def __contains__(self, key: object) -> bool:
        return key in self._found or any(key == unread for unread in self._read_on())

    def __iter__(self) -> Iterator[str]:
        yield from tuple(self._found)
        yield from self._read_on()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @classmethod
    def _from_iterable(cls, it: Iterable[str]) -> AbstractSet[str]:  # type: ignore[override] # what `&` makes
        return frozenset(it)

    def _read_on(self) -> Iterator[str]:
        for key in self._unread:
            if key not in self._found:
                self._found[key] = None
                yield key


def _keys(window: Window) -> Iterator[str]:
    scan = JsonScan(window)
    try:
        start = scan.skip_space(0)
        if scan.byte(start) == b"{":
            for key, value in scan.keys(start):
                yield key
                if scan.end_if_held(value) is None:
                    return
    except (BadRecordError, SourceError):
        return  # who reads it says what is wrong
