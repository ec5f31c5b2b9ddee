"""From an output's name to what takes its blocks, and from that to a file or directory under that name."""

from __future__ import annotations

import difflib
import os
import stat
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from polars_export.errors import OptionError, OutputError
from polars_export.file_names import REJECTS
from polars_export.writers.dataset_repository import DatasetWriter, check_directory, publish_directory
from polars_export.writers.disk import copy_mode, flush_to_disk, os_errors_reported
from polars_export.writers.file_assembler import assembler
from polars_export.writers.replayed_files import ReplayedFiles
from polars_export.writers.signals import SignalGuard
from polars_export.writers.work_directory import work_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from polars_export.writers.dataset_repository import Plan
    from polars_export.writers.file_assembler import Block
    from polars_export.writers.work_directory import Work

__all__ = [
    "STDOUT",
    "FileWriter",
    "Output",
    "check_output",
    "file_type_of",
    "open_output",
    "rejects_path",
]

STDOUT = "-"
_NAME_OF_STDOUT = "standard output"

_COMPRESSION = {".jsonl": None, ".jsonl.gz": "gzip", ".jsonl.zst": "zstd"}
_ENDINGS = (*_COMPRESSION, ".parquet")
_TEXT_ENDINGS = (".json", ".json5", ".jsonlines", ".jl", ".ndjson", ".csv", ".tsv", ".txt", ".xlsx", ".yaml", ".yml")
_TABLE_ENDINGS = (".pq", ".parq", ".arrow", ".feather", ".ipc", ".avro", ".orc")
_PACKED_ENDINGS = (".gz", ".gzip", ".zst", ".zstd", ".bz2", ".xz", ".lz4", ".zip", ".tar", ".tgz", ".7z")
_MISTYPED = frozenset((*_TEXT_ENDINGS, *_TABLE_ENDINGS, *_PACKED_ENDINGS))
"""Endings of files that are not written: a name with one of them means a file."""
_LEAST_LIKENESS = 0.8  # of an ending to a known one, as `difflib` has it: `.jsnol` and `.parqet` are mistyped


def check_output(output: str, sources: Sequence[str], searched: Sequence[str], *, overwrite: bool) -> bool:
    """Complain about an output that cannot work before any input is read; return whether it is a directory.

    Args:
        output: Its name.
        sources: All files that are read.
        searched: The directories among the sources.
        overwrite: Whether a directory may be replaced.

    Raises:
        OptionError: The name has a mistyped ending, or the output is one of the sources or lies inside one.
        OutputError: Its directory does not exist or cannot be written to, or it is a directory that is not empty.
    """
    if output == STDOUT:
        return False
    if not _can_be_a_name(output):
        raise OptionError("output", f"expected a name; found {output!r}")
    with os_errors_reported(output):
        return _check_named(output, sources, searched, overwrite=overwrite)


def _can_be_a_name(output: str) -> bool:
    try:
        return b"\0" not in os.fsencode(output) != b""
    except UnicodeEncodeError:
        return False


def _check_named(output: str, sources: Sequence[str], searched: Sequence[str], *, overwrite: bool) -> bool:
    path = Path(output)
    if Path(os.path.realpath(path)).is_symlink():
        raise OutputError(output, "is a link that leads back to itself")
    into_directory = not output.endswith(_ENDINGS)
    if into_directory:
        if _is_mistyped(path.suffix) and not output.endswith("/") and not path.is_dir():
            endings = ", ".join(_ENDINGS)
            raise OptionError(
                "output",
                f"expected a name that ends in {endings}, `-`, or a directory; found {output!r} "
                "(a directory may have this ending if the name ends in /)",
            )
        check_directory(output, overwrite, sources)
    else:
        _check_file(path, output)
        if _is_among(path, sources):
            raise OptionError("output", f"{output} is one of the sources")
    for source in searched:
        if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(source)):
            raise OptionError("output", f"{output} lies inside the source {source}")
    return into_directory


def _is_mistyped(suffix: str) -> bool:
    """Return whether an ending is that of a file, though of none that is written."""
    return suffix.lower() in _MISTYPED or bool(
        difflib.get_close_matches(suffix.lower(), _ENDINGS, cutoff=_LEAST_LIKENESS)
    )


def _check_file(path: Path, output: str) -> None:
    if path.exists() and not path.is_file():
        raise OutputError(output, "is a directory" if path.is_dir() else "is no regular file")
    if not path.parent.is_dir():
        raise OutputError(output, f"the directory {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(output, f"the directory {path.parent} cannot be written to")


def _is_among(path: Path, sources: Sequence[str]) -> bool:
    return path.exists() and any(os.path.exists(source) and path.samefile(source) for source in sources)  # noqa: PTH110 - names may be too long


def rejects_path(output: str, sources: Sequence[str], *, into_directory: bool) -> str:
    """Return the file for the invalid records that an export into an output skips.

    Raises:
        OptionError: There is no place beside standard output, or it is that of the output or of one of the sources.
        OutputError: It is that of something else than a file.
    """
    if output == STDOUT:
        raise OptionError("on_error", "skip writes bad records to a file beside the output; name an output")
    if into_directory:
        return str(Path(output) / REJECTS)
    file = Path(os.path.realpath(output)) if Path(output).is_symlink() else Path(output)  # as it is published
    path = file.with_name(REJECTS)
    if path == file or _is_among(path, sources):
        raise OptionError("on_error", f"skip would write bad records to {path}, which is in use; name another output")
    with os_errors_reported(str(path)):
        _check_file(path, str(path))
    return str(path)


@dataclass(frozen=True, slots=True)
class Output:
    """An output under way.

    Attributes:
        parts: Directory for the files of the parts, and for what must be read twice.
        writer: Takes the blocks of the parts, in order.
        rejects: File for the records that cannot be used, which appears beside the data if it is there in the end.
        journal: File that lists what the writer was given; None where an export cannot be resumed.
        files: Opens the files. Of a resumed export, what the journal has is given to the writer again first, as
            placeholders.
    """

    parts: Path
    writer: FileWriter | DatasetWriter
    rejects: Path
    journal: Path | None
    files: ReplayedFiles


_FLUSHED = 64 << 20
"""Bytes after which a file is sent to the disk while others still work: at the end it would have to be waited for."""


class FileWriter:
    """Puts blocks into one file."""

    def __init__(self, output: str, file: BinaryIO) -> None:
        self._file = file
        self._unflushed = 0
        self._name = _NAME_OF_STDOUT if output == STDOUT else output
        with os_errors_reported(self._name):
            self._assembler = assembler(file, file_type_of(output), _compression_of(output))

    def add(self, blocks: Iterable[tuple[Block, bytes]]) -> None:
        """Append blocks."""
        with os_errors_reported(self._name):
            for _, data in blocks:
                self._assembler.add(data)
                self._unflushed += len(data)
            self._file.flush()
            if self._unflushed > _FLUSHED and self._name != _NAME_OF_STDOUT:
                os.fsync(self._file.fileno())
                self._unflushed = 0

    def close(self) -> None:
        """Write what is still held back."""
        with os_errors_reported(self._name):
            self._assembler.close()


def file_type_of(output: str) -> Literal["jsonl", "parquet"]:
    """Return what the file of an output's name is; standard output takes JSON lines."""
    return "parquet" if output.endswith(".parquet") else "jsonl"


@contextmanager
def open_output(output: str, plan: Plan | None, key: str = "", *, resume: bool = False) -> Iterator[Output]:
    """Open an output that appears under its name, complete and on disk, when the block ends without an error.

    Until then all is in a hidden directory beside it, which goes in any case.

    Args:
        output: Its name, checked by `check_output`.
        plan: How a dataset repository is written; None for a file.
        key: Tells all that decides on the bytes of the output but for the sources.
        resume: Whether to resume an interrupted export of the same key.

    Raises:
        OutputError: It could not be written; another export is writing to it; or a directory has been filled since it
            was checked.
    """
    with os_errors_reported(output):
        path = None if output == STDOUT else Path(os.path.realpath(output))  # a link stays a link
    key = f"{key} {'directory' if plan else file_type_of(output)}"
    with SignalGuard() as interrupts, work_directory(output, path, key, resume=resume) as work, interrupts.deferred():
        if path is None:
            with _standard_output() as file:
                yield from _into_file(output, file, work, ReplayedFiles(resumed=False))
            return
        new = work.path / "new" / path.name
        files = ReplayedFiles(resumed=work.resumed)
        with os_errors_reported(output):
            new.parent.mkdir(exist_ok=True)
            _rejects_of(work).parent.mkdir(exist_ok=True)
        if plan:
            yield from _into_directory(DatasetWriter(output, new, plan, files), work, files)
            interrupts.ignore_signals()
            with os_errors_reported(output):
                work.journal.unlink(missing_ok=True)  # an export whose files leave this directory cannot be resumed
                _publish_beside(_rejects_of(work), new / REJECTS)
                with _mode_kept(path, new):
                    publish_directory(new, path, work.path, overwrite=plan.overwrite)
        else:
            with os_errors_reported(output):
                file = files.open(new)
            with _closed(file, output):
                yield from _into_file(output, file, work, files)
            interrupts.ignore_signals()
            with os_errors_reported(output):
                work.journal.unlink(missing_ok=True)  # as above
                copy_mode(path, new)
                flush_to_disk(new)
                _publish_beside(_rejects_of(work), path.with_name(REJECTS), path)
                new.replace(path)
                flush_to_disk(path.parent)


def _into_file(output: str, file: BinaryIO, work: Work, files: ReplayedFiles) -> Iterator[Output]:
    writer = FileWriter(output, file)
    journal = work.journal if _has_journal(output) else None
    try:
        yield Output(work.parts, writer, _rejects_of(work), journal, files)
    except BaseException:
        with suppress(OutputError, ValueError):  # let go of the file, which is about to be removed
            writer.close()
        raise
    writer.close()


@contextmanager
def _closed(file: BinaryIO, output: str) -> Iterator[None]:
    """Close a file at the end; after an error quietly, as what was still to be written may find no room."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            file.close()
        raise
    with os_errors_reported(output):
        file.close()


def _into_directory(writer: DatasetWriter, work: Work, files: ReplayedFiles) -> Iterator[Output]:
    try:
        yield Output(work.parts, writer, _rejects_of(work), work.journal, files)
        writer.finish()
    finally:
        writer.close()


def _rejects_of(work: Work) -> Path:
    return work.path / "beside" / REJECTS


def _publish_beside(rejects: Path, place: Path, output: Path | None = None) -> None:
    """Put the rejects, if there is such a file, in their place, before the data appear.

    They are as private as the rejects that they replace, or where there are none, as the file that is replaced beside.
    """
    if rejects.exists():
        copy_mode(place if output is None or place.exists() else output, rejects)
        flush_to_disk(rejects)
        rejects.replace(place)


@contextmanager
def _mode_kept(path: Path, new: Path) -> Iterator[None]:
    """Let a new directory be as private as the one that it replaces, but for its owner only when it has replaced it."""
    mode = copy_mode(path, new, stat.S_IRWXU)
    yield
    if mode is not None:
        path.chmod(mode)


def _has_journal(output: str) -> bool:
    """Return whether parts of an interrupted export can be kept: not of a compressed file, which begins anew."""
    return output != STDOUT and _compression_of(output) is None


def _compression_of(output: str) -> str | None:
    return next((codec for ending, codec in _COMPRESSION.items() if output.endswith(ending)), None)


@contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    if sys.stdout is None:
        raise OutputError(_NAME_OF_STDOUT, "is closed")
    yield sys.stdout.buffer
    with os_errors_reported(_NAME_OF_STDOUT):
        sys.stdout.buffer.flush()
