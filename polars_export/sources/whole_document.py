"""JSON documents that are one record each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from polars_export.sources.chunk import RAW_BYTES, Chunk, OversizedRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polars_export.sources.window import Window

__all__ = ["DOCUMENT", "DocumentLayout"]

_SPACE = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class DocumentLayout:
    """The whole text is one record."""

    is_stream: ClassVar[bool] = True

    def chunks(self, window: Window, /) -> Iterator[Chunk]:
        """Yield the text at the start of a window as one record; of one that is too large only the beginning."""
        while len(window) <= window.limit and window.more():
            pass
        source, offset, size = window.source, window.offset, len(window)
        if size > window.limit:
            beginning = memoryview(bytes(window.view(RAW_BYTES)))
            window.drop(size)
            while window.more():
                size += len(window)
                window.drop(len(window))
            oversized = OversizedRecord(window.limit, size)
            yield Chunk(source, beginning, [(0, len(beginning))], [0], "", offset=offset, oversized=oversized)
            return
        data = window.view(size)
        text = bytes(data)
        start = size - len(text.lstrip(_SPACE))
        yield Chunk(source, data, [(start, len(text.rstrip(_SPACE)))], [0], "", offset=offset)
        window.drop(size)


DOCUMENT = DocumentLayout()
