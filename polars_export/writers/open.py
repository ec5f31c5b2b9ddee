"""From an output's name to what takes its blocks, and from that to a file or directory under that name."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from polars_export.errors import OptionError, OutputError
from polars_export.writers.assemble import assembler, blocks_of
from polars_export.writers.dataset import DatasetWriter, check_directory, publish_directory
from polars_export.writers.disk import flush_to_disk, reported

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from polars_export.writers.assemble import Block
    from polars_export.writers.dataset import Plan

__all__ = ["STDOUT", "FileWriter", "Output", "check_output", "file_type_of", "open_output"]

STDOUT = "-"
_NAME_OF_STDOUT = "standard output"

_COMPRESSION = {".jsonl": None, ".jsonl.gz": "gzip", ".jsonl.zst": "zstd"}
_ENDINGS = (*_COMPRESSION, ".parquet")


def check_output(output: str, sources: Sequence[str], *, overwrite: bool) -> bool:
    """Complain about an output that cannot work before any input is read; return whether it is a directory.

    Raises:
        OptionError: The name has an ending that is not known, or the output is one of the sources.
        OutputError: Its directory does not exist or cannot be written to, or it is a directory that is not empty.
    """
    if output == STDOUT:
        return False
    path = Path(output)
    if not output.endswith(_ENDINGS):
        if path.suffix and not output.endswith("/") and not path.is_dir():
            endings = ", ".join(_ENDINGS)
            raise OptionError(
                "output", f"expected a name that ends in {endings}, `-`, or a directory; found {output!r}"
            )
        check_directory(output, overwrite, sources)
        return True
    with reported(output):
        if path.is_dir():
            raise OutputError(output, "is a directory")
        if not path.parent.is_dir():
            raise OutputError(output, f"the directory {path.parent} does not exist")
        if not os.access(path.parent, os.W_OK):
            raise OutputError(output, f"the directory {path.parent} cannot be written to")
        if path.exists() and any(Path(source).exists() and path.samefile(source) for source in sources):
            raise OptionError("output", f"{output} is one of the sources")
    return False


@dataclass(frozen=True, slots=True)
class Output:
    """An output under way.

    Attributes:
        parts: Directory for the files of the parts, and for what must be read twice.
        writer: Takes the blocks of the parts, in order.
    """

    parts: Path
    writer: FileWriter | DatasetWriter


_FLUSHED = 64 << 20
"""Bytes after which a file is sent to the disk while others still work: at the end it would have to be waited for."""


class FileWriter:
    """Puts blocks into one file."""

    def __init__(self, output: str, file: BinaryIO) -> None:
        self._file = file
        self._unflushed = 0
        self._name = _NAME_OF_STDOUT if output == STDOUT else output
        compression = next((codec for ending, codec in _COMPRESSION.items() if output.endswith(ending)), None)
        with reported(self._name):
            self._assembler = assembler(file, file_type_of(output), compression)

    def add(self, part: Path, blocks: Sequence[Block]) -> None:
        """Append the blocks of a part, whose file is removed."""
        with reported(self._name):
            for _, data in blocks_of(part, blocks):
                self._assembler.add(data)
                self._unflushed += len(data)
            if self._unflushed > _FLUSHED and self._file.seekable():
                os.fsync(self._file.fileno())
                self._unflushed = 0

    def close(self) -> None:
        """Write what is still held back."""
        with reported(self._name):
            self._assembler.close()


def file_type_of(output: str) -> Literal["jsonl", "parquet"]:
    """Return what the file of an output's name is; standard output takes JSON lines."""
    return "parquet" if output.endswith(".parquet") else "jsonl"


@contextmanager
def open_output(output: str, plan: Plan | None) -> Iterator[Output]:
    """Open an output that appears under its name, complete and on disk, when the block ends without an error.

    Until then all is in a hidden directory beside it, which goes in any case.

    Args:
        output: Its name, checked by `check_output`.
        plan: How a dataset repository is written; None for a file.

    Raises:
        OutputError: It could not be written; or a directory has been filled since it was checked.
    """
    path = Path(os.path.realpath(output))  # a link stays a link: what it points to is replaced
    with _work_directory(output, path) as work:
        parts, new = work / "parts", work / "new" / path.name
        with reported(output):
            parts.mkdir()
            new.parent.mkdir()
        if plan:
            dataset = DatasetWriter(output, new, plan)
            try:
                yield Output(parts, dataset)
                dataset.finish()
            finally:
                dataset.close()
            with reported(output):
                publish_directory(new, path, overwrite=plan.overwrite)
        elif output == STDOUT:
            with _standard_output() as file:
                yield from _into_file(output, file, parts)
        else:
            with reported(output):
                file = new.open("xb")
            with file:
                yield from _into_file(output, file, parts)
            with reported(output):
                flush_to_disk(new)
                new.replace(path)
                flush_to_disk(path.parent)


def _into_file(output: str, file: BinaryIO, parts: Path) -> Iterator[Output]:
    writer = FileWriter(output, file)
    try:
        yield Output(parts, writer)
    except BaseException:
        with suppress(OutputError, ValueError):  # let go of the file, which is about to be removed
            writer.close()
        raise
    writer.close()


@contextmanager
def _work_directory(output: str, path: Path) -> Iterator[Path]:
    beside = Path(tempfile.gettempdir()) if output == STDOUT else path.parent
    work = beside / f".polars-export-{secrets.token_hex(4)}.part"
    with reported(output):
        work.mkdir(mode=0o700)  # what is piped through is nobody else's
    try:
        yield work
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    with reported(f"{work} (left over; the output is complete)"):
        shutil.rmtree(work)


@contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    if sys.stdout is None:
        raise OutputError(_NAME_OF_STDOUT, "is closed")
    yield sys.stdout.buffer
    with reported(_NAME_OF_STDOUT):
        sys.stdout.buffer.flush()
