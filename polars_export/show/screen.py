"""Write lines to standard output: in colours to a terminal, else as plain text."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

from polars_export.errors import OutputError
from polars_export.show.layout import HEADING, NOTE
from polars_export.show.transcript import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polars_export.show.layout import Line

__all__ = ["Screen", "open_screen"]

_STANDARD_OUTPUT = "standard output"
_STYLES = {
    HEADING: "bold",
    NOTE: "dim",
    Kind.SYSTEM: "bold magenta",
    Kind.USER: "bold green",
    Kind.ASSISTANT: "bold cyan",
    Kind.REASONING: "dim italic",
    Kind.CALL: "bold yellow",
    Kind.RESULT: "bold blue",
    Kind.ERROR: "red",
    Kind.FACT: "dim",
}


class Screen(Protocol):
    """What lines are written to; `width` is None where that is no terminal."""

    @property
    def width(self) -> int | None:
        """Cells of a line."""
        ...

    def write(self, lines: Iterable[Line]) -> None:
        """Write lines, and hand them on at once."""
        ...


@contextmanager
def open_screen() -> Iterator[Screen]:
    """Yield standard output; end quietly where its reader has gone.

    Raises:
        OutputError: It is closed, or cannot be written to.
    """
    if sys.stdout is None:
        raise OutputError(_STANDARD_OUTPUT, "is closed")
    try:
        yield _Terminal(sys.stdout) if sys.stdout.isatty() else _Plain(sys.stdout)
    except BrokenPipeError:  # such as `head`, which has seen enough
        pass
    except OSError as error:
        raise OutputError(_STANDARD_OUTPUT, error.strerror or str(error)) from error


class _Plain:
    width: int | None = None

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self._file.write(_encodable("".join(span.text for span in line), self._file) + "\n")
        self._file.flush()


class _Terminal:
    def __init__(self, file: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415 - takes a moment, and only terminals need it

        self._file = file
        self._console = Console(file=file, highlight=False)
        self.width: int | None = self._console.width

    def write(self, lines: Iterable[Line]) -> None:
        from rich.text import Text  # noqa: PLC0415 - as above

        for line in lines:
            spans = [(_encodable(span.text, self._file), _STYLES.get(span.style or "", "")) for span in line]
            self._console.print(Text.assemble(*spans), soft_wrap=True)
        self._file.flush()


def _encodable(text: str, file: TextIO) -> str:
    """Return a text with escapes for what the encoding of a file has no bytes for."""
    encoding = file.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
