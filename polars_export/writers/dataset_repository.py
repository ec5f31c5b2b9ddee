"""A dataset repository in a directory: shards under `data/`, what describes them beside it, published in one step."""

from __future__ import annotations

import ctypes
import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from polars_export.errors import OptionError, OutputError
from polars_export.writers.disk import flush_to_disk, os_errors_reported
from polars_export.writers.file_assembler import assembler
from polars_export.writers.work_directory import move_aside, restore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polars_export.writers.file_assembler import Block, FileAssembler
    from polars_export.writers.replayed_files import ReplayedFiles

__all__ = ["DatasetWriter", "Plan", "Shard", "check_directory", "publish_directory"]

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # <fcntl.h>, <linux/fs.h>


@dataclass(frozen=True, slots=True)
class Plan:
    """How a dataset repository is written.

    Attributes:
        file_type: What the shards are.
        max_shard_bytes: Most bytes of a shard, as `row_bytes` counts them, unless one row alone has more.
        overwrite: Whether a directory that is not empty is replaced.
    """

    file_type: Literal["parquet", "jsonl"]
    max_shard_bytes: int
    overwrite: bool


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of records.

    Attributes:
        path: Where it is, from the directory of the repository.
        split: The split whose records it holds.
        rows: Number of its records, at least one.
        bytes: Size of the file.
        sha256: Hexadecimal digest of the file.
        num_bytes: Size of its records in memory, as `row_bytes` counts them.
    """

    path: str
    split: str
    rows: int
    bytes: int
    sha256: str
    num_bytes: int


def check_directory(output: str, overwrite: bool, sources: Iterable[str] = ()) -> None:  # noqa: FBT001 - as in Plan
    """Complain about a directory that cannot become the dataset before any input is read.

    Raises:
        OptionError: Overwriting would remove one of the sources.
        OutputError: The output is a file, a mount point or, to be overwritten, a git clone; it is not empty and not to
            be overwritten; or its parent does not exist or cannot be written to.
    """
    path = Path(os.path.realpath(output))
    with os_errors_reported(output):
        if not path.parent.is_dir():
            raise OutputError(output, f"the directory {path.parent} does not exist")
        if not os.access(path.parent, os.W_OK):
            raise OutputError(output, f"the directory {path.parent} cannot be written to")
        if path.exists():
            _check_existing(path, output, overwrite=overwrite)
    for source in sources:
        if source != "-" and Path(os.path.realpath(source)).is_relative_to(path):
            raise OptionError("overwrite", f"would remove the source {source}, which is inside {output}")


def _check_existing(path: Path, output: str, *, overwrite: bool) -> None:
    if not path.is_dir():
        raise OutputError(output, "is a file, not a directory")
    if path.is_mount():  # it cannot be renamed, which would come out only at the very end
        raise OutputError(output, "is a mount point; name a directory inside it")
    if any(path.iterdir()):
        if not overwrite:
            raise OutputError(output, "is a directory that is not empty; --overwrite replaces all of it")
        if not os.access(path, os.W_OK):  # nor moved, as it tells where it is
            raise OutputError(output, "is a directory that cannot be written to")
        if (path / ".git").exists():  # the clone of a hub repository: its history would go too
            raise OutputError(output, "is a git clone; export to another directory and copy the files")


class DatasetWriter:
    """Puts blocks into the shards of their split, and texts beside them.

    A shard ends before the block with which it would be larger than planned; so where it ends depends on the blocks
    alone.

    Raises:
        OutputError: It could not be written.
    """

    def __init__(self, output: str, directory: Path, plan: Plan, files: ReplayedFiles) -> None:
        self._output = output
        self._directory = directory
        self._plan = plan
        self._files = files
        self._splits: dict[str, _SplitWriter] = {}
        self._shards: tuple[Shard, ...] | None = None
        with os_errors_reported(output):
            (directory / "data").mkdir(parents=True, exist_ok=files.resumed)
            for shard in (directory / "data").glob("*-of-*"):  # all were finished when the export was killed
                shard.rename(shard.with_name(shard.name.split("-of-", maxsplit=1)[0]))

    def add(self, blocks: Iterable[tuple[Block, bytes]]) -> None:
        """Append blocks."""
        with os_errors_reported(self._output):
            for block, data in blocks:
                if block.split not in self._splits:
                    stem = self._directory / "data" / block.split
                    self._splits[block.split] = _SplitWriter(stem, self._plan, self._files)
                self._splits[block.split].add(block, data)
            for split in self._splits.values():
                split.flush()

    def finish(self) -> tuple[Shard, ...]:
        """Close the shards, give them their final names and return them: those of `train` first, then by split."""
        if self._shards is None:
            with os_errors_reported(self._output):
                names = sorted(self._splits, key=lambda split: (split != "train", split))
                self._shards = tuple(shard for split in names for shard in self._finished(split))
                known = {self._directory / shard.path for shard in self._shards}
                for left in set((self._directory / "data").iterdir()) - known:  # of an export that was killed
                    left.unlink()
        return self._shards

    def _finished(self, split: str) -> Iterator[Shard]:
        self._splits[split].close()
        closed = self._splits[split].closed
        for index, (part, rows, num_bytes) in enumerate(closed):
            name = f"{split}-{index:05d}-of-{len(closed):05d}.{self._plan.file_type}"
            path = part.rename(part.with_name(name))
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            yield Shard(f"data/{name}", split, rows, path.stat().st_size, digest, num_bytes)

    def add_file(self, name: str, text: str) -> None:
        """Write a text beside `data/`."""
        with os_errors_reported(self._output):
            (self._directory / name).write_text(text, encoding="utf-8", newline="\n")

    def close(self) -> None:
        """Let go of the files."""
        for split in self._splits.values():
            with suppress(OSError, ValueError):  # after an error they are about to be removed
                split.close()


class _SplitWriter:
    """Puts the blocks of one split into shards."""

    def __init__(self, stem: Path, plan: Plan, files: ReplayedFiles) -> None:
        self.closed: list[tuple[Path, int, int]] = []  # file, rows, bytes as `row_bytes` counts them
        self._stem = stem
        self._plan = plan
        self._files = files
        self._open: tuple[BinaryIO, FileAssembler] | None = None
        self._path = stem
        self._rows = self._bytes = 0

    def add(self, block: Block, data: bytes) -> None:
        if self._rows and self._bytes + block.num_bytes > self._plan.max_shard_bytes:
            self.close()
        if self._open is None:
            path = self._stem.with_name(f"{self._stem.name}-{len(self.closed):05d}")
            file = self._files.open(path)
            self._open = file, assembler(file, self._plan.file_type)
            self._path = path
        self._open[1].add(data)
        self._rows += block.rows
        self._bytes += block.num_bytes

    def flush(self) -> None:
        """Let nothing be lost if this process is killed."""
        if self._open:
            self._open[0].flush()

    def close(self) -> None:
        if self._open is None:
            return
        (file, shard), self._open = self._open, None
        with file:
            shard.close()
            file.flush()
            os.fsync(file.fileno())
        self.closed.append((self._path, self._rows, self._bytes))
        self._rows = self._bytes = 0


def publish_directory(new: Path, path: Path, work: Path, *, overwrite: bool) -> None:
    """Give a directory its name, when all that it holds is on disk; what had the name before is then in `work`."""
    for file in new.iterdir():
        flush_to_disk(file)  # `data` among them; the shards are on disk already
    flush_to_disk(new)
    if overwrite and path.is_dir() and any(path.iterdir()):
        _exchange(new, path, work)
    else:
        new.rename(path)  # takes the place of an empty directory, refuses any other
    flush_to_disk(path.parent)


def _exchange(new: Path, old: Path, work: Path) -> None:
    """Swap two directories: in one step where the kernel can, else by renaming, with no directory for an instant."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)  # glibc 2.28
    if renameat2 is not None:
        renameat2.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
        if renameat2(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(old), _RENAME_EXCHANGE) == 0:
            return
    move_aside(work, old)
    try:
        new.rename(old)
    finally:
        restore(work, old)
