"""What is known of an export while it runs: its sources, its counts, its progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from polars_export.execution.tasks import add_lines
from polars_export.pipeline.card_statistics import CardStatistics
from polars_export.pipeline.counters import Counters
from polars_export.report import ExportReport
from polars_export.sources.fingerprint import checksum
from polars_export.sources.stream import is_piped
from polars_export.writers.manifest import ManifestFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from polars_export.execution.tasks import Lines, PartAccount, RenderedPart

__all__ = ["ExportProgress", "RunState"]

ExportProgress: TypeAlias = Callable[[int, int | None, int], None]
"""Called again and again with the bytes read, the bytes in all (None if not known) and the traces read."""


@dataclass(slots=True)
class RunState:
    """The sums over all parts that have come back.

    Attributes:
        sources: The path and size of each source.
        on_progress: Called when more has been read.
        rejects: The file for invalid records; None where they stop the export.
        in_memory: Whether the sources are frames in memory.
        known_files: What the manifest says of sources that are not read, by their numbers.
        piped: Whether a source can be read only once.
        bytes_stored: The size of all sources.
        started: When the export began, as `time.monotonic` has it.
        counters: What became of the traces.
        statistics: What the card says of the exported traces.
        skipped_files: Files without traces that a search found, with what they hold; nothing of those that belong to
            others.
        lines: The lines read of each source.
        checksums: Those of the blocks of each source, by its number and their offsets.
        resumed: The exported traces that an interrupted export had written.
        bytes_read: Progress.
        traces_read: Progress; runs ahead of `counters`, which grow by whole parts.
    """

    sources: Sequence[tuple[str, int]]
    on_progress: ExportProgress | None
    rejects: str | None
    in_memory: bool = False
    known_files: Mapping[int, ManifestFile] = field(default_factory=dict)
    piped: bool = field(init=False)
    bytes_stored: int = field(init=False)
    started: float = field(default_factory=time.monotonic)
    counters: Counters = field(default_factory=Counters)
    statistics: CardStatistics = field(default_factory=CardStatistics)
    skipped_files: dict[str, str] = field(default_factory=dict)
    lines: Lines = field(default_factory=dict)
    checksums: dict[int, dict[int, int]] = field(default_factory=dict)
    resumed: int = 0
    bytes_read: int = 0
    traces_read: int = 0

    def __post_init__(self) -> None:
        self.piped = not self.in_memory and any(is_piped(path) for path, _ in self.sources)
        self.bytes_stored = sum(size for _, size in self.sources)

    def add_scanned(self, part: PartAccount) -> None:
        """Add what became of the traces of a part."""
        self.counters.add(part.counters)
        self.skipped_files |= part.skipped_files
        add_lines(self.lines, part.lines)
        for source, blocks in part.checksums.items():
            self.checksums.setdefault(source, {}).update(blocks)

    def add_rendered(self, part: RenderedPart) -> None:
        """Add what became of the traces of a part, and what the card says of them."""
        self.add_scanned(part.account)
        self.statistics.add(part.statistics)

    def add_progress(self, bytes_read: int, traces: int) -> None:
        """Add what has been read since the last call, and report all that has been read."""
        self.bytes_read += bytes_read
        self.traces_read += traces
        if self.on_progress:
            self.on_progress(self.bytes_read, None if self.piped else self.bytes_stored, self.traces_read)

    def source_files(self) -> list[ManifestFile]:
        """Return what the manifest says of the sources, once all of them are read; of frames and pipes only a name."""
        return [
            self.known_files[number]
            if number in self.known_files
            else ManifestFile(path, None, None)
            if self.in_memory or is_piped(path)
            else ManifestFile(path, size, checksum(self.checksums.get(number, {}), size))
            for number, (path, size) in enumerate(self.sources)
        ]

    def report(self, output: str) -> ExportReport:
        """Return the account as a user sees it."""
        counters = self.counters
        return ExportReport(
            output=output,
            records=counters.records,
            traces_read=counters.traces_read,
            exported=counters.exported,
            dropped=dict(counters.dropped),
            examples=dict(counters.examples),
            dropped_content=dict(counters.dropped_content),
            skipped_files={path: problem for path, problem in self.skipped_files.items() if problem},
            bytes_read=self.bytes_stored,
            seconds=time.monotonic() - self.started,
            rejects=self.rejects,
            resumed=self.resumed,
        )
