"""Read a segment of a source as chunks of records."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from polars_export.inputs.detect import detect
from polars_export.inputs.no_traces import NoTracesError
from polars_export.inputs.read_options import DEFAULT
from polars_export.sources.find import raise_if_stream
from polars_export.sources.json_lines import line_chunks, skip_line
from polars_export.sources.stream import ByteStream
from polars_export.sources.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from polars_export.inputs.dialect import Match
    from polars_export.inputs.read_options import ReadOptions
    from polars_export.sources.chunk import Chunk
    from polars_export.sources.layout import StreamLayout, TableLayout
    from polars_export.sources.segments import Segment

__all__ = ["SourceReader"]


class SourceReader:
    """One reading of a segment, with what is known of its progress.

    Attributes:
        bytes_read: How many bytes of the source have been read, as they are stored.
        lines: How many lines of the file start in the segment; None until all of it has been read, and of a document.
        skip_reason: What the source holds in place of traces, if it was met in a search, empty if it belongs to other
            sources; else None.
    """

    def __init__(self, segment: Segment, spool: Path | None = None, options: ReadOptions = DEFAULT) -> None:
        self._segment = segment
        self._spool = spool
        self._options = options
        self.bytes_read = 0
        self.lines: int | None = None
        self._match = cast("Match | None", segment.match)
        self.skip_reason: str | None = None

    def chunks(self) -> Iterator[tuple[Match, Chunk]]:
        """Yield the chunks of the segment, with what its source is; of a source that is skipped, none.

        Raises:
            SourceError: The source cannot be read, holds no traces, or has become shorter than it was when it was cut.
            BadRecordError: It is not valid JSON between its records, or too large there.
        """
        segment = self._segment
        if segment.skip_reason is not None:
            self.skip_reason = segment.skip_reason
            self.bytes_read = segment.size
            return
        if segment.searched:
            raise_if_stream(segment.path)
        if segment.units:
            yield from self._units(cast("Match", self._match), segment.path)
        else:
            yield from self._stream()
        self.bytes_read = segment.size

    def _stream(self) -> Iterator[tuple[Match, Chunk]]:
        segment = self._segment
        start = max(segment.start - 1, 0)  # one byte earlier: a line may begin exactly at the start
        with ByteStream(segment.path, start, self._spool) as stream:
            for match, chunk in self.chunks_of(Window(stream, self._options.max_record_bytes)):
                self.bytes_read = min(stream.file_position() - start, segment.size)
                yield match, chunk

    def chunks_of(self, window: Window) -> Iterator[tuple[Match, Chunk]]:
        """Yield what `chunks` does, of a window that the caller has opened at the start of the segment.

        Raises:
            SourceError: See `chunks`.
            BadRecordError: See `chunks`.
        """
        if not self._segment.start and not self._recognise(window):
            return
        match = cast("Match", self._match)
        if match.layout and not match.layout.is_stream:
            yield from self._units(match, self._segment.path)
            return
        for chunk in self._chunks_of(window, match):
            yield match, chunk

    def _recognise(self, window: Window) -> bool:
        """Find out what the source is; return whether it is read."""
        try:
            self._match = self._match or detect(window, self._options, searched=self._segment.searched)
        except NoTracesError as error:
            if not self._segment.searched:
                raise
            self.skip_reason = error.problem
            return False
        return True

    def _units(self, match: Match, path: str) -> Iterator[tuple[Match, Chunk]]:
        start, end = self._segment.units or (0, None)
        layout = cast("TableLayout", match.layout)
        for chunk in layout.units(path, path, start, end, self._options.max_record_bytes):
            yield match, chunk

    def _chunks_of(self, window: Window, match: Match) -> Iterator[Chunk]:
        segment = self._segment
        end = segment.end
        if end is None and segment.size and window.stream.is_plain_file:
            end = segment.start + segment.size
        if segment.start:
            self.lines = (yield from line_chunks(window, end)) if skip_line(window, end) else 0
        elif match.layout:
            yield from cast("StreamLayout", match.layout).chunks(window)
        else:
            self.lines = yield from line_chunks(window, end)
