"""Buffer the part of a stream that is being read, and let callers search it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polars_export.sources.stream import ByteStream

__all__ = ["CHUNK_BYTES", "MAX_RECORD_BYTES", "Window"]

CHUNK_BYTES = 2 << 20
"""How much is read and decoded at a time. More does not fit into the processor's cache and is slower to decode."""

MAX_RECORD_BYTES = 256_000_000
"""How large a record may be. It is far above any trace, and decodes to a few gigabytes at worst."""


class Window:
    """The part of a stream that is in memory: `data[start:end]`, in a buffer that is reused.

    Offsets into the window count from `start`, so that they stay valid when `more` moves the bytes.

    Attributes:
        size: How many bytes it reads ahead. The buffer grows beyond that only for a record that is larger.
        limit: How large a record may be. Callers skip a larger one.
    """

    def __init__(self, stream: ByteStream, limit: int = MAX_RECORD_BYTES) -> None:
        self.stream = stream
        self.limit = limit
        self.size = CHUNK_BYTES
        self.data = bytearray(self.size)
        self.start = 0
        self.end = 0
        self._dropped = 0  # bytes of the stream before `start`

    @property
    def offset(self) -> int:
        """Where the first byte of the window stands in the plain source."""
        return self.stream.start + self._dropped

    @property
    def source(self) -> str:
        """What the source is called in messages."""
        return self.stream.source

    def __len__(self) -> int:
        return self.end - self.start

    def view(self, length: int) -> memoryview:
        """Return the first bytes of the window, valid until the next `more`."""
        return memoryview(self.data)[self.start : self.start + length]

    def drop(self, length: int) -> None:
        """Remove the first bytes."""
        self.start += length
        self._dropped += length

    def more(self) -> bool:
        """Read more of the stream, behind what the window has; return False at the end."""
        unread = memoryview(self.data)[self.start : self.end]
        capacity = self._capacity(len(unread))
        if capacity != len(self.data):  # a larger buffer, or a smaller one behind a large record
            self.data = bytearray(capacity)
        buffer = memoryview(self.data)
        buffer[: len(unread)] = unread  # the two may overlap
        self.start, self.end = 0, len(unread)
        count = self.stream.readinto(buffer[self.end :])
        self.end += count
        return count > 0

    def _capacity(self, unread: int) -> int:
        """Return the size of a buffer for some bytes and more behind them; it doubles, so that copying stays linear."""
        capacity = self.size
        while capacity <= unread:
            capacity *= 2
        return min(capacity, max(self.limit, unread) + self.size)
