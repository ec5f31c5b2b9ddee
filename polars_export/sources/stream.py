"""Open a source as a stream of plain bytes, decompressed where its magic bytes say so, read through one buffer."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Self, cast

import pyarrow as pa

from polars_export.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["CHUNK_BYTES", "STDIN", "ByteStream", "Window"]

STDIN = "-"

CHUNK_BYTES = 2 << 20
"""How much is read and decoded at a time: more falls out of the processor's cache, which makes decoding dearer."""

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_HEAD = 4  # bytes: the longest magic


class ByteStream:
    """The plain bytes of one source; a context manager.

    Raises:
        SourceError: The source cannot be opened or read, or its compressed data is damaged.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        try:
            self._stored = _open(source)
            head = self._stored.peek(_HEAD)[:_HEAD]
        except OSError as error:
            raise SourceError(source, error.strerror or str(error)) from error
        self._codec = next((codec for magic, codec in _MAGIC.items() if head.startswith(magic)), None)
        self._readinto: Callable[[memoryview], int] = (
            self._stored.readinto1
        )  # one read a call: between two, signals act
        if self._codec:
            self._readinto = pa.CompressedInputStream(pa.PythonFile(_KeptOpen(self._stored), "r"), self._codec).readinto
        self._at_start = True

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer as far as the stream goes and return the number of bytes; 0 at the end."""
        filled = 0
        try:
            while filled < len(buffer) and (count := self._readinto(buffer[filled:])):
                filled += count
        except OSError as error:
            problem = f"damaged {self._codec} data: {error}" if self._codec else error.strerror or str(error)
            raise SourceError(self.source, problem) from error
        if self._at_start and bytes(buffer[: len(_BYTE_ORDER_MARK)]) == _BYTE_ORDER_MARK:
            rest = bytes(buffer[len(_BYTE_ORDER_MARK) : filled])
            filled = len(rest)
            buffer[:filled] = rest
        self._at_start = False
        return filled

    def stored_position(self) -> int:
        """Return how many bytes have been read from the source as it is stored; 0 where that is not known."""
        return self._stored.tell() if self._stored.seekable() else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.source != STDIN:
            self._stored.close()


class _KeptOpen:
    """A file that Arrow may read but not close."""

    closed = False

    def __init__(self, file: io.BufferedReader[io.FileIO]) -> None:
        self.read = file.read

    def close(self) -> None:
        pass


def _open(source: str) -> io.BufferedReader[io.FileIO]:
    if source == STDIN and sys.stdin is None:
        raise SourceError(source, "standard input is closed")
    if source != STDIN:
        return io.BufferedReader(io.FileIO(source), buffer_size=1 << 16)
    return cast("io.BufferedReader[io.FileIO]", sys.stdin.buffer)


class Window:
    """The part of a stream that is held: `data[start:end]`, in a buffer that is reused and grows only when it must.

    `size` is what it is made to hold. Offsets into the window count from `start`, so that they stay true when `more`
    moves the bytes.
    """

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.size = CHUNK_BYTES
        self.data = bytearray(self.size)
        self.start = 0
        self.end = 0

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

    def more(self) -> bool:
        """Read on behind what is held; False at the end of the stream."""
        held = self.data[self.start : self.end]
        capacity = self.size
        while capacity <= len(held):
            capacity *= 2
        if capacity != len(self.data):  # a new buffer, also a smaller one once a large record has passed
            self.data = bytearray(capacity)
        self.data[: len(held)] = held
        self.start, self.end = 0, len(held)
        count = self.stream.readinto(memoryview(self.data)[self.end :])
        self.end += count
        return count > 0
