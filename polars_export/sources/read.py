"""Read a segment of a source as chunks of records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from polars_export.chunk import Chunk, Origin
from polars_export.errors import SerializationError
from polars_export.sources.document import document_chunks
from polars_export.sources.lines import line_chunks, skip_line
from polars_export.sources.recognise import Kind, NoTracesError, recognise
from polars_export.sources.stream import ByteStream, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from polars_export.sources.segments import Segment

__all__ = ["Reading", "objects_chunk"]


class Reading:
    """One reading of a segment, with what is known of its progress.

    Attributes:
        bytes_read: How many bytes of the source have been read, as they are stored.
        passed_over: What the source holds in place of traces, if it was met in a search; else None.
    """

    def __init__(self, segment: Segment, spool: Path | None = None) -> None:
        self._segment = segment
        self._spool = spool
        self.bytes_read = 0
        self.passed_over: str | None = None

    def chunks(self) -> Iterator[Chunk]:
        """Yield the chunks of the segment; of a source to pass over, none.

        Raises:
            SourceError: The source cannot be read or holds no traces.
            BadRecordError: It is not valid JSON between its records.
        """
        segment = self._segment
        start = max(segment.start - 1, 0)  # one byte earlier: a line may begin exactly at the start
        with ByteStream(segment.path, start, self._spool) as stream:
            for chunk in self._chunks_of(Window(stream)):
                self.bytes_read = min(stream.stored_position() - start, segment.size)
                yield chunk
        self.bytes_read = segment.size

    def _chunks_of(self, window: Window) -> Iterator[Chunk]:
        segment = self._segment
        if segment.start:
            skip_line(window)
            return line_chunks(window, segment.end)
        try:
            kind = recognise(window)
        except NoTracesError as error:
            if not segment.searched:
                raise
            self.passed_over = error.problem
            return iter(())
        return line_chunks(window, segment.end) if kind is Kind.LINES else document_chunks(window)


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
