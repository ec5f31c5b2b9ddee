"""Hold the part of a stream that is looked at, in one buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polars_export.sources.stream import ByteStream

__all__ = ["CHUNK_BYTES", "MAX_RECORD_BYTES", "Window"]

CHUNK_BYTES = 2 << 20
"""How much is read and decoded at a time: more falls out of the processor's cache, which makes decoding dearer."""

MAX_RECORD_BYTES = 256_000_000
"""How large a record may be: far above any trace, and what decodes to a few gigabytes at worst."""


class Window:
    """The part of a stream that is held: `data[start:end]`, in a buffer that is reused and grows only when it must.

    `size` is what it is made to hold, `limit` what it grows to at most for one record; whoever needs more of a record
    gives it up. Offsets into the window count from `start`, so that they stay true when `more` moves the bytes.
    """

    def __init__(self, stream: ByteStream, limit: int = MAX_RECORD_BYTES) -> None:
        self.stream = stream
        self.limit = limit
        self.size = CHUNK_BYTES
        self.data = bytearray(self.size)
        self.start = 0
        self.end = 0
        self._dropped = 0

    @property
    def offset(self) -> int:
        """Where in the plain source the first byte held stands."""
        return self.stream.start + self._dropped

    @property
    def source(self) -> str:
        """The name of the stream."""
        return self.stream.source

    def __len__(self) -> int:
        return self.end - self.start

    def view(self, length: int) -> memoryview:
        """Return the first bytes held, valid until the next `more`."""
        return memoryview(self.data)[self.start : self.start + length]

    def drop(self, length: int) -> None:
        """Let go of the first bytes."""
        self.start += length
        self._dropped += length

    def more(self) -> bool:
        """Read on behind what is held; False at the end of the stream."""
        held = memoryview(self.data)[self.start : self.end]
        capacity = self._capacity(len(held))
        if capacity != len(self.data):  # a new buffer, also a smaller one once a large record has passed
            self.data = bytearray(capacity)
        buffer = memoryview(self.data)
        buffer[: len(held)] = held  # the places may overlap
        self.start, self.end = 0, len(held)
        count = self.stream.readinto(buffer[self.end :])
        self.end += count
        return count > 0

    def _capacity(self, held: int) -> int:
        """Return the size of a buffer for what is held and more: doubled, so that reading on is not quadratic."""
        capacity = self.size
        while capacity <= held:
            capacity *= 2
        return min(capacity, max(self.limit, held) + self.size)
