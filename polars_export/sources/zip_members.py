"""Zip archives whose members are records.

Members are stored, deflated, or compressed with zstd (method 93), which Python's own module reads only from 3.14 on: it
gives the directory here, and members are read from where that says that they stand.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from polars_export.errors import SourceError
from polars_export.sources.chunk import RAW_BYTES, Chunk, OversizedRecord
from polars_export.sources.pruned_object import prune
from polars_export.sources.store import as_source_error, store_for
from polars_export.sources.window import Window

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator, Sequence

__all__ = ["ZipMembers", "is_archive", "member_names"]

_MAGIC = b"PK\x03\x04"
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # the magic, and the lengths of the name and of what stands behind it
_ENCRYPTED = 0x1
_PIECE_BYTES = 1 << 20
_NO_LIMIT = 2**62  # of what was read before
_MOST_HELD = 64 << 20
"""Bytes of a member that is decoded as it is; of a larger one only what is needed is kept while it is read."""


class _Member(NamedTuple):
    name: str
    offset: int
    stored: int
    size: int
    method: int


def is_archive(beginning: bytes) -> bool:
    """Return whether a file that begins with these bytes is a zip archive."""
    return beginning.startswith(_MAGIC)


def member_names(path: str) -> frozenset[str]:
    """Return the names of the members of an archive.

    Raises:
        SourceError: It cannot be read, or is damaged.
    """
    with as_source_error(path), store_for(path).open(path) as file:
        return frozenset(member.filename for member in _directory(path, file))


@dataclass(frozen=True, slots=True)
class ZipMembers:
    """The members in a folder of an archive are the records, in the order of its directory.

    Of members with one name the last one counts.

    Attributes:
        folder: What their names begin with.
        ending: How they end.
        headers: Members that every record needs: the text of the first one that is there.
        keys: The keys of a record that are needed of one too large to be held.
        first_of: A key among these whose array is needed only up to its first element that holds all of some texts.
    """

    folder: str
    ending: str
    headers: tuple[str, ...]
    keys: frozenset[str]
    first_of: tuple[str, tuple[bytes, ...]] | None = None
    is_stream: ClassVar[bool] = False

    def cut(self, path: str, part_bytes: int, /) -> list[tuple[int, int, int]]:
        """Return ranges of members, each with its bytes in the file.

        Raises:
            SourceError: The archive is damaged.
        """
        members = self._members(path)
        ranges: list[tuple[int, int, int]] = []
        start = total = 0
        for number, member in enumerate(members):
            if total and total + member.stored > part_bytes:
                ranges.append((start, number, total))
                start, total = number, 0
            total += member.stored
        return [*ranges, (start, len(members), total)]

    def units(self, path: str, source: str, start: int, end: int | None, limit: int, /) -> Iterator[Chunk]:
        """Yield some members, each as a chunk.

        Raises:
            SourceError: The archive is damaged.
        """
        members = self._members(path)
        header = self._header(path)
        last = len(members) if end is None else end
        with as_source_error(source), store_for(path).open(path) as file:
            for number in range(start, last):
                yield self._chunk(_Opened(source, file, members[number]), number, header, limit)

    def read_again(
        self, path: str, source: str, locations: Sequence[tuple[int, int]], /
    ) -> tuple[bytes, list[tuple[int, int]]]:
        """Return chosen members by their numbers.

        Raises:
            SourceError: The archive is damaged, or has changed.
        """
        members = self._members(path)
        data, spans = bytearray(), []
        with as_source_error(source), store_for(path).open(path) as file:
            for number, _ in locations:
                chunk = self._chunk(_Opened(source, file, members[number]), number, None, _NO_LIMIT)
                spans.append((len(data), len(data) + len(chunk.data)))
                data += chunk.data
        return bytes(data), spans

    def _chunk(self, opened: _Opened, number: int, header: str | None, limit: int) -> Chunk:
        member = opened.member
        if member.size <= min(limit, _MOST_HELD):
            data = opened.read()
        else:
            data = prune(Window(opened, limit), self.keys, self.first_of)  # type: ignore[arg-type] # it reads as a stream does
        oversized = OversizedRecord(limit, len(data)) if len(data) > limit else None
        end = min(len(data), RAW_BYTES) if oversized else len(data)
        record = memoryview(data)[:end]
        stored = [(number, member.stored)]
        return Chunk(
            opened.source, record, [(0, end)], [number], "", header, 0, oversized, stored, names=(member.name,)
        )

    def _members(self, path: str) -> list[_Member]:
        found = _all_members(path, store_for(path).status(path).version)
        return [each for each in found if each.name.startswith(self.folder) and each.name.endswith(self.ending)]

    def _header(self, path: str) -> str | None:
        members = {each.name: each for each in _all_members(path, store_for(path).status(path).version)}
        found = next((members[name] for name in self.headers if name in members), None)
        if found is None:
            return None
        with as_source_error(path), store_for(path).open(path) as file:
            return _Opened(path, file, found).read().decode("utf-8", "replace")


@lru_cache(maxsize=2)
def _all_members(path: str, _version: str) -> list[_Member]:
    """Return the members of an archive; of those with one name the last."""
    found: dict[str, _Member] = {}
    with as_source_error(path), store_for(path).open(path) as file:
        for info in _directory(path, file):
            found.pop(info.filename, None)
            if info.flag_bits & _ENCRYPTED:
                raise SourceError(path, f"{info.filename}: encrypted members are not read")
            found[info.filename] = _Member(
                info.filename, info.header_offset, info.compress_size, info.file_size, info.compress_type
            )
    return list(found.values())


def _directory(path: str, file: io.BufferedIOBase) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise SourceError(path, f"damaged zip archive: {error}") from None


class _Range:
    """The bytes of a file from where it stands, as many as a member takes; a file for others to read."""

    closed = False

    def __init__(self, opened: _Opened, file: io.BufferedIOBase) -> None:
        self._opened, self._file = opened, file
        self._left = opened.member.stored

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left))
        if not data and self._left:
            raise self._opened.damaged("the file ends inside it")
        self._left -= len(data)
        return data

    def close(self) -> None:
        pass


class _Inflated:
    """Deflated bytes, inflated no more than is asked for."""

    def __init__(self, stored: _Range) -> None:
        self._stored = stored
        self._codec = zlib.decompressobj(-zlib.MAX_WBITS)
        self._tail = b""

    def read(self, size: int) -> bytes:
        while not self._codec.eof:
            piece = self._tail or self._stored.read(_PIECE_BYTES)
            data = self._codec.decompress(piece, size)
            self._tail = self._codec.unconsumed_tail
            if data:
                return data
            if not piece:
                return self._codec.flush()
        return b""


class _Opened:
    """The bytes of one member, as a stream has them.

    Attributes:
        source: The archive.
        member: The member.
        start: Where the first byte stands: of a member at its own beginning.
    """

    start = 0

    def __init__(self, source: str, file: io.BufferedIOBase, member: _Member) -> None:
        self.source, self.member = source, member
        file.seek(member.offset)
        header = file.read(_LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size or not header.startswith(_MAGIC):
            raise self.damaged("it does not begin where the directory says")
        _, name, extra = _LOCAL_HEADER.unpack(header)
        file.seek(name + extra, 1)
        stored = _Range(self, file)
        match member.method:
            case zipfile.ZIP_STORED:
                self._read = stored.read
            case zipfile.ZIP_DEFLATED:
                self._read = _Inflated(stored).read
            case 93:
                import pyarrow as pa  # noqa: PLC0415 - a process that only hands out work need not wait for it

                self._read = pa.CompressedInputStream(pa.PythonFile(stored, "r"), "zstd").read
            case method:
                raise SourceError(source, f"{member.name}: compression method {method} is not read")

    def read(self) -> bytes:
        """Return all of it.

        Raises:
            SourceError: The member is damaged.
        """
        data = bytearray()
        while piece := self._piece(_PIECE_BYTES):
            data += piece
        if len(data) != self.member.size:
            raise self.damaged(f"expected {self.member.size:,} bytes, found {len(data):,}")
        return bytes(data)

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer as far as the member goes; return the number of bytes, 0 at the end.

        Raises:
            SourceError: The member is damaged.
        """
        filled = 0
        while filled < len(buffer) and (piece := self._piece(min(len(buffer) - filled, _PIECE_BYTES))):
            buffer[filled : filled + len(piece)] = piece
            filled += len(piece)
        return filled

    def damaged(self, problem: str) -> SourceError:
        """Return the error of a member that cannot be read."""
        return SourceError(self.source, f"{self.member.name}: damaged member: {problem}")

    def _piece(self, size: int) -> bytes:
        try:
            return self._read(size)
        except (zlib.error, OSError, ValueError) as error:
            raise self.damaged(str(error)) from None
