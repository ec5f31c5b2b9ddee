"""Open a source as a stream of plain bytes, decompressed where its magic bytes say so."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Self, cast

from polars_export.errors import SourceError
from polars_export.sources.spool import SpoolWriter
from polars_export.sources.store import FileKind, as_source_error, store_for

if TYPE_CHECKING:
    import io
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

__all__ = ["STDIN", "ByteStream", "is_piped"]

STDIN = "-"

_CODECS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_MAGIC_BYTES = 4  # the longest magic
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DECOMPRESSED_BYTES = 1 << 16  # at a time: as many may be lost where the data is damaged


def is_piped(source: str) -> bool:
    """Return whether a source, which is no directory, can be read only once, or only by this process."""
    if source == STDIN:
        return True
    try:
        return store_for(source).status(source).kind is not FileKind.FILE
    except (OSError, ValueError):  # it is not there
        return True


class ByteStream:
    """The plain bytes of one source; a context manager.

    Attributes:
        source: What the source is called in messages.
        codec: How the source is compressed; None where it is not.
        is_plain_file: Whether the bytes are those of a file as it is stored.
        start: Where the first byte stands in the plain source: behind a byte-order mark, which is no part of it.

    Args:
        source: A file, or `-` for standard input.
        start: Where in a file, which is then not compressed, to begin.
        spool: Where to keep a copy of the plain source if it is piped or compressed, so that it can be read again, and
            from any place. If the copy is there already, it is read instead of the source.

    Raises:
        SourceError: The source cannot be opened or read, or its compressed data is damaged.
        OutputError: The copy cannot be written.
    """

    def __init__(self, source: str, start: int = 0, spool: Path | None = None) -> None:
        self.source = source
        self.start = start
        from_spool = spool is not None and spool.exists()
        self._close_file = from_spool or source != STDIN
        with as_source_error(source):
            self._file = _open(str(spool) if from_spool else source)
            if start:
                self._file.seek(start)
            magic = self._file.read(_MAGIC_BYTES)  # a pipe may hand out less at first: this waits
            self._unread = magic  # what has been read of the file and not been handed out
            if self._file.seekable():
                self._file.seek(-len(magic), os.SEEK_CUR)
                self._unread = b""
        self.codec = None if from_spool or start else _codec_of(magic)
        self._readinto: Callable[[memoryview], int] = self._read_file
        if self.codec:
            import pyarrow as pa  # noqa: PLC0415 - a process that only hands out work need not wait for it

            file = pa.PythonFile(_ArrowFile(self._unread, self._file), "r")
            self._readinto = pa.CompressedInputStream(file, self.codec).readinto
        self._error: SourceError | None = None
        self.is_plain_file = not from_spool and not self.codec and not is_piped(source)
        self._at_start = not start
        must_spool = spool and not from_spool and (self.codec or is_piped(source))
        self._spool = SpoolWriter(spool) if spool and must_spool else None

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer as far as the stream goes and return the number of bytes; 0 at the end.

        What precedes damage is handed out before the error is raised.
        """
        if self._error:
            raise self._error
        filled, most = 0, _DECOMPRESSED_BYTES if self.codec else len(buffer)
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
            self.start = 0 if self._spool else len(_BYTE_ORDER_MARK)  # the copy has none
        self._at_start = False
        if self._spool:
            self._spool.write(buffer[:filled])
        return filled

    def _read_file(self, buffer: memoryview) -> int:
        """Read once: between two reads, signals act."""
        if not self._unread:
            return self._file.readinto1(buffer)
        count = min(len(self._unread), len(buffer))
        buffer[:count], self._unread = self._unread[:count], self._unread[count:]
        return count

    def file_position(self) -> int:
        """Return how far into the file, as it is stored, has been read; 0 where that is not known."""
        return self._file.tell() if self._file.seekable() else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._spool:
            self._spool.close()
        if self._close_file:
            self._file.close()


class _ArrowFile:
    """A file for Arrow to read and not to close, with the bytes that have been read of it before."""

    closed = False

    def __init__(self, unread: bytes, file: io.BufferedIOBase) -> None:
        self._unread = unread
        self._file = file

    def read(self, size: int) -> bytes:
        unread, self._unread = self._unread[:size], self._unread[size:]
        return unread or self._file.read(size)

    def close(self) -> None:
        pass


def _codec_of(beginning: bytes) -> str | None:
    return next((codec for magic, codec in _CODECS.items() if beginning.startswith(magic)), None)


def _open(source: str) -> io.BufferedIOBase:
    if source != STDIN:
        return store_for(source).open(source)
    if sys.stdin is None:
        raise SourceError(source, "standard input is closed")
    with suppress(OSError):  # it is none of the system's
        os.set_blocking(sys.stdin.fileno(), True)  # or nothing for now would pass for the end
    return cast("io.BufferedIOBase", sys.stdin.buffer)
