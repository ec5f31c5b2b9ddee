"""From an output's name to a writer, and from a finished writer to a file under that name."""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from polars_export.errors import OptionError, OutputError
from polars_export.writers.dataset import check_directory
from polars_export.writers.disk import flush_to_disk, reported
from polars_export.writers.jsonlines import JsonLinesWriter
from polars_export.writers.parquet import ParquetWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

__all__ = ["STDOUT", "Writer", "check_output", "open_writer"]

STDOUT = "-"
_NAME_OF_STDOUT = "standard output"

_COMPRESSION = {".jsonl": None, ".jsonl.gz": "gzip", ".jsonl.zst": "zstd"}
_ENDINGS = (*_COMPRESSION, ".parquet")


class Writer(Protocol):
    """Takes records."""

    def write(self, records: pa.Table) -> None:
        """Append records."""
        ...

    def close(self) -> None:
        """Write what is still held back."""
        ...


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


@contextmanager
def open_writer(output: str, schema: pa.Schema, absent: Sequence[str]) -> Iterator[Writer]:
    """Open a writer whose file appears under its name, complete and on disk, when the block ends without an error.

    Until then it is a hidden file in the same directory, which goes when the block ends with an error.

    Raises:
        OutputError: It could not be written.
    """
    name = _NAME_OF_STDOUT if output == STDOUT else output
    with _standard_output() if output == STDOUT else _published(output) as file:
        with reported(name):
            writer = _ReportingWriter(_writer(file, output, schema, absent), name)
        try:
            yield writer
        except BaseException:
            with suppress(OutputError, ValueError):  # let go of the file, which is about to be removed
                writer.close()
            raise
        writer.close()


def _writer(file: BinaryIO, output: str, schema: pa.Schema, absent: Sequence[str]) -> Writer:
    if output.endswith(".parquet"):
        return ParquetWriter(file, schema)
    ending = next((ending for ending in _COMPRESSION if output.endswith(ending)), ".jsonl")
    return JsonLinesWriter(file, schema, absent, _COMPRESSION[ending])


class _ReportingWriter:
    """Says which output it is that cannot be written."""

    def __init__(self, writer: Writer, output: str) -> None:
        self._writer = writer
        self._output = output

    def write(self, records: pa.Table) -> None:
        with reported(self._output):
            self._writer.write(records)

    def close(self) -> None:
        with reported(self._output):
            self._writer.close()


@contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    if sys.stdout is None:
        raise OutputError(_NAME_OF_STDOUT, "is closed")
    yield sys.stdout.buffer
    with reported(_NAME_OF_STDOUT):
        sys.stdout.buffer.flush()


@contextmanager
def _published(output: str) -> Iterator[BinaryIO]:
    path = Path(os.path.realpath(output))  # a link stays a link: what it points to is replaced
    part = path.with_name(f".polars-export-{secrets.token_hex(4)}.part")
    with reported(output):
        file = part.open("xb")
    try:
        with file:
            yield file
        with reported(output):
            flush_to_disk(part)
            part.replace(path)
            flush_to_disk(path.parent)
    finally:
        part.unlink(missing_ok=True)
