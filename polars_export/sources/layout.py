"""Where the records of a source are, if they are not its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from polars_export.sources.chunk import Chunk
    from polars_export.sources.window import Window

__all__ = ["Layout", "StreamLayout", "TableLayout"]


class Layout(Protocol):
    """Where the records of a source are; it can be hashed, and compared with others."""

    @property
    def is_stream(self) -> bool:
        """Whether the source is read from its beginning to its end: a `StreamLayout`, else a `TableLayout`."""
        ...


class StreamLayout(Layout, Protocol):
    """The records are parts of a text."""

    def chunks(self, window: Window, /) -> Iterator[Chunk]:
        """Yield the records of the text at the start of a window."""
        ...


class TableLayout(Layout, Protocol):
    """The records can be found by their numbers: the members of an archive, or the rows of a table."""

    def cut(self, path: str, part_bytes: int, /) -> Sequence[tuple[int, int, int]]:
        """Return ranges of units, each with its bytes in the file: so that of each about so many are read.

        A unit is what can be read on its own, such as a row group.
        """
        ...

    def units(self, path: str, source: str, start: int, end: int | None, limit: int, /) -> Iterator[Chunk]:
        """Yield the records of a range of units.

        Args:
            path: The file.
            source: What it is called in messages.
            start: The first unit.
            end: The unit behind the last one; None for all.
            limit: How large a record may be.
        """
        ...

    def read_again(
        self, path: str, source: str, locations: Sequence[tuple[int, int]], /
    ) -> tuple[bytes, Sequence[tuple[int, int]]]:
        """Return chosen records, from where `Chunk.locations` said that they stand: their bytes, and where each is."""
        ...
