"""Put the blocks of all parts one behind the other into one file, without decoding them."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from polars_export.writers.parquet_stitcher import ParquetStitcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["Block", "FileAssembler", "assembler", "blocks_of", "placeholder_blocks"]


class Block(NamedTuple):
    """Encoded records: where they are in the file of their part, how many, and how large in memory (`row_bytes`).

    `end` is the end of the block, as much as it takes to put it where it is already: the metadata of a Parquet file.
    """

    split: str
    start: int
    size: int
    rows: int
    num_bytes: int
    end: bytes = b""


class FileAssembler(Protocol):
    """Takes blocks in order."""

    def add(self, block: bytes, /) -> None:
        """Append a block."""
        ...

    def close(self) -> None:
        """Write what is still held back; the file itself stays open."""
        ...


def assembler(file: BinaryIO, file_type: str, compression: str | None = None) -> FileAssembler:
    """Return what puts blocks of a type (`jsonl` or `parquet`) into a file."""
    if file_type == "parquet":
        return ParquetStitcher(file)
    return _Compressed(file, compression) if compression else _Plain(file)


def blocks_of(part: Path, blocks: Iterable[Block]) -> Iterator[tuple[Block, bytes]]:
    """Yield blocks with their bytes, and remove the file of the part, which holds nothing else."""
    with part.open("rb") as file:
        for block in blocks:
            file.seek(block.start)
            yield block, file.read(block.size)
    part.unlink()


def placeholder_blocks(blocks: Iterable[Block]) -> Iterator[tuple[Block, bytes]]:
    """Yield placeholders of blocks: only their last bytes are real, for files that step over the others."""
    for block in blocks:
        start = block.end[-4:]  # a Parquet file begins as it ends
        yield block, start + bytes(block.size - len(start) - len(block.end)) + block.end


class _Plain:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, block: bytes, /) -> None:
        self._file.write(block)

    def close(self) -> None:
        pass


class _Compressed:
    """One compressed stream: some readers stop at the end of the first of several."""

    def __init__(self, file: BinaryIO, compression: str) -> None:
        import pyarrow as pa  # noqa: PLC0415 - a process that only hands out work need not wait for it

        self._stream = pa.CompressedOutputStream(file, compression)

    def add(self, block: bytes, /) -> None:
        self._stream.write(block)

    def close(self) -> None:
        self._stream.close()
