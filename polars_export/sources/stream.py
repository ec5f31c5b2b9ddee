"""Open a source as a stream of plain bytes, decompressed where its magic bytes say so, read through one buffer."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self, cast

from polars_export.errors import OutputError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

__all__ = ["CHUNK_BYTES", "MAX_RECORD_BYTES", "STDIN", "ByteStream", "Window", "is_piped"]

STDIN = "-"

CHUNK_BYTES = 2 << 20
"""How much is read and decoded at a time: more falls out of the processor's cache, which makes decoding dearer."""

MAX_RECORD_BYTES = 256_000_000
"""How large a record may be: far above any trace, and what decodes to a few gigabytes at worst."""

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PIECE = 1 << 16  # bytes that are unpacked at a time: as many may be lost where the data is damaged
_HEAD = 4  # bytes: the longest magic
_OPEN_FILES = ("/dev/stdin", "/dev/fd/", "/proc/")  # of this process; /dev/fd/63 is what shells make of <(command)


def is_piped(source: str) -> bool:
    """Return whether a source, which is no directory, can be read only once, or only by this process."""
    return source == STDIN or source.startswith(_OPEN_FILES) or not os.path.isfile(source)  # noqa: PTH113 - or is not there


class ByteStream:
    """The plain bytes of one source; a context manager.

    Attributes:
        source: What the source is called in messages.
        is_stored: Whether the bytes handed out are those of the file as it is stored.
        base: Where the first byte handed out stands in the plain source: behind a byte-order mark, which is none of it.

    Args:
        source: A file, or `-` for standard input.
        start: Where in a file, which is then not compressed, to begin.
        spool: Where the bytes are kept as they are read, if the source can be read only once or only from its
            beginning: piped, or compressed. The first byte of the spool is the first of the plain source.
            Where it is there already, it is read in place of the source.

    Raises:
        SourceError: The source cannot be opened or read, or its compressed data is damaged.
        OutputError: The spool cannot be written.
    """

    def __init__(self, source: str, start: int = 0, spool: Path | None = None) -> None:
        self.source = source
        self.base = start
        kept = spool is not None and spool.exists()
        self._opened_here = kept or source != STDIN
        try:
            self._stored = _open(str(spool) if kept else source)
            if start:
                self._stored.seek(start)
            head = self._stored.read(_HEAD)  # a pipe may hand out less at first: this waits
            if self._stored.seekable():
                self._stored.seek(-len(head), os.SEEK_CUR)
                self._head = b""
            else:
                self._head = head
        except OSError as error:
            raise SourceError(source, error.strerror or str(error)) from error
        except ValueError as error:  # what cannot be a name
            raise SourceError(source, str(error)) from error
        is_plain = kept or start
        self.codec = None if is_plain else next((c for magic, c in _MAGIC.items() if head.startswith(magic)), None)
        self._readinto: Callable[[memoryview], int] = self._read_stored
        self._error: SourceError | None = None
        if self.codec:
            import pyarrow as pa  # noqa: PLC0415 - a process that only hands out work need not wait for it

            self._readinto = pa.CompressedInputStream(
                pa.PythonFile(_KeptOpen(self._head, self._stored), "r"), self.codec
            ).readinto
        self.is_stored = not kept and not self.codec and not is_piped(source)
        self._at_start = not start
        self._spool = _Spool(spool) if spool and not kept and (self.codec or is_piped(source)) else None

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer as far as the stream goes and return the number of bytes; 0 at the end.

        What precedes damage is handed out before the error is raised.
        """
        if self._error:
            raise self._error
        filled, most = 0, _PIECE if self.codec else len(buffer)
        try:
            while filled < len(buffer) and (count := self._readinto(buffer[filled : filled + most])):
                filled += count
        except OSError as error:
            problem = f"damaged {self.codec} data: {error}" if self.codec else error.strerror or str(error)
            self._error = SourceError(self.source, problem)
            if not filled:
                raise self._error from error
        if self._at_start and bytes(buffer[: len(_BYTE_ORDER_MARK)]) == _BYTE_ORDER_MARK:
            rest = bytes(buffer[len(_BYTE_ORDER_MARK) : filled])
            filled = len(rest)
            buffer[:filled] = rest
            self.base = 0 if self._spool else len(_BYTE_ORDER_MARK)
        self._at_start = False
        if self._spool:
            self._spool.keep(buffer[:filled])
        return filled

    def _read_stored(self, buffer: memoryview) -> int:
        """Read once: between two reads, signals act."""
        if not self._head:
            return self._stored.readinto1(buffer)
        count = min(len(self._head), len(buffer))
        buffer[:count], self._head = self._head[:count], self._head[count:]
        return count

    def stored_position(self) -> int:
        """Return how many bytes have been read from the source as it is stored; 0 where that is not known."""
        return self._stored.tell() if self._stored.seekable() else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._spool:
            self._spool.close()
        if self._opened_here:
            self._stored.close()


class _Spool:
    """A file that keeps what is read; what has been kept can be read at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._reported():
            self._file = path.open("wb", buffering=0)

    def keep(self, data: memoryview) -> None:
        with self._reported():
            kept = 0
            while kept < len(data):  # a raw file may take less than it is given
                kept += self._file.write(data[kept:])

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(str(self._path), error.strerror or str(error)) from error


class _KeptOpen:
    """A file of which the first bytes have been read, and which Arrow may read but not close."""

    closed = False

    def __init__(self, head: bytes, file: io.BufferedReader[io.FileIO]) -> None:
        self._head = head
        self._file = file

    def read(self, size: int) -> bytes:
        head, self._head = self._head[:size], self._head[size:]
        return head or self._file.read(size)

    def close(self) -> None:
        pass


def _open(source: str) -> io.BufferedReader[io.FileIO]:
    if source == STDIN and sys.stdin is None:
        raise SourceError(source, "standard input is closed")
    if source != STDIN:
        return io.BufferedReader(io.FileIO(source), buffer_size=1 << 16)
    with suppress(OSError):  # it is none of the system's
        os.set_blocking(sys.stdin.fileno(), True)  # or nothing for now would pass for the end
    return cast("io.BufferedReader[io.FileIO]", sys.stdin.buffer)


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
        return self.stream.base + self._dropped

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
