"""Read sources one after the other as one sequence of chunks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polars_export.chunk import Chunk, Origin
from polars_export.errors import SerializationError, SourceError
from polars_export.sources.document import document_chunks
from polars_export.sources.lines import line_chunks
from polars_export.sources.recognise import Kind, NoTracesError, recognise
from polars_export.sources.stream import STDIN, ByteStream, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from polars_export.sources.find import Found

__all__ = ["Reading", "objects_chunk"]

_CHUNKS = {Kind.LINES: line_chunks, Kind.DOCUMENT: document_chunks}


class Reading:
    """One reading of all sources in order, with what is known of its progress.

    Attributes:
        bytes_total: Size of all sources as they are stored; None with standard input.
        bytes_read: How much of that has been read.
        passed_over: Files met in a search of a directory that hold JSON but no traces, with what they hold.
    """

    def __init__(self, found: Sequence[Found]) -> None:
        self._found = found
        piped = any(source.path == STDIN for source in found)
        self.bytes_total = None if piped else sum(_size(source.path) for source in found)
        self.bytes_read = 0
        self.passed_over: dict[str, str] = {}

    def sizes(self) -> list[tuple[str, int | None]]:
        """Return the sources with their sizes in bytes, None for what is piped."""
        return [(path, None if path == STDIN else _size(path)) for path, _ in self._found]

    def chunks(self) -> Iterator[Chunk]:
        """Yield the chunks of all sources.

        Raises:
            SourceError: A source cannot be read or holds no traces. A file that was met in a search and is of a known
                kind without traces is passed over, unless there is nothing else.
            BadRecordError: A source is not valid JSON between its records.
        """
        for path, searched in self._found:
            before = self.bytes_read
            with ByteStream(path) as stream:
                window = Window(stream)
                try:
                    kind = recognise(window)
                except NoTracesError as error:
                    if not searched:
                        raise
                    self.passed_over[path] = error.problem
                    self.bytes_read = before + _size(path)
                    continue
                for chunk in _CHUNKS[kind](window):
                    self.bytes_read = before + stream.stored_position()
                    yield chunk
                self.bytes_read = before + stream.stored_position()
        if self.passed_over and self.passed_over.keys() == {path for path, _ in self._found}:
            path, problem = next(iter(self.passed_over.items()))
            raise SourceError(path, problem)


def objects_chunk(traces: Iterable[Mapping[str, Any]], first: int, eval_set_id: str | None) -> Chunk:
    """Make a chunk of traces that are Python objects; `first` is the index of the first among all.

    With an `eval_set_id` they are the case results of a results document.

    Raises:
        SerializationError: A trace has no JSON form.
    """
    spans: list[tuple[int, int]] = []
    data = bytearray()
    for index, trace in enumerate(traces, first):
        start = len(data)
        try:
            data += json.dumps(trace, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise SerializationError(index, f"it has no JSON form: {error}") from error
        spans.append((start, len(data)))
    positions = range(first, first + len(spans))
    origin = Origin.OBJECTS if eval_set_id is None else Origin.DOCUMENT
    return Chunk("traces", memoryview(data), spans, positions, origin, eval_set_id)


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError as error:
        raise SourceError(path, error.strerror or str(error)) from error
