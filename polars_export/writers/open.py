"""From an output's name to a writer, and from a finished writer to a file under that name."""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from polars_export.errors import OptionError, OutputError
from polars_export.writers.jsonlines import JsonLinesWriter
from polars_export.writers.parquet import ParquetWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

__all__ = ["STDOUT", "Writer", "check_output", "open_writer"]

STDOUT = "-"

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


def check_output(output: str) -> None:
    """Complain about an output that cannot work before any input is read.

    Raises:
        OptionError: The name has no ending that is known.
        OutputError: Its directory does not exist or cannot be written to, or the output is a directory.
    """
    if output == STDOUT:
        return
    if not output.endswith(_ENDINGS):
        raise OptionError("output", f"expected a name that ends in {', '.join(_ENDINGS)}, or `-`; found {output!r}")
    path = Path(output)
    if path.is_dir():
        raise OutputError(output, "is a directory")
    if not path.parent.is_dir():
        raise OutputError(output, f"the directory {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(output, f"the directory {path.parent} cannot be written to")


@contextmanager
def open_writer(output: str, schema: pa.Schema, absent: Sequence[str]) -> Iterator[Writer]:
    """Open a writer whose file appears under its name, complete and on disk, when the block ends without an error.

    Until then it is a hidden file in the same directory, which goes when the block ends with an error.

    Raises:
        OutputError: It could not be written.
    """
    with _standard_output() if output == STDOUT else _published(Path(output)) as file:
        writer: Writer
        if output.endswith(".parquet"):
            writer = ParquetWriter(file, schema)
        else:
            ending = next((ending for ending in _COMPRESSION if output.endswith(ending)), ".jsonl")
            writer = JsonLinesWriter(file, absent, _COMPRESSION[ending])
        try:
            yield writer
        except BaseException:
            with suppress(OSError, ValueError):  # let go of the file, which is about to be removed
                writer.close()
            raise
        writer.close()


@contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except OSError as error:
        raise OutputError("standard output", error.strerror or str(error)) from error


@contextmanager
def _published(path: Path) -> Iterator[BinaryIO]:
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
        _flush_to_disk(part)
        part.replace(path)
    except OSError as error:
        raise OutputError(str(path), error.strerror or str(error)) from error
    finally:
        part.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
