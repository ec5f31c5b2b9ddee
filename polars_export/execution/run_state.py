"""What is known of an export under way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from polars_export.execution.tasks import add_lines
from polars_export.pipeline.card_statistics import CardStatistics
from polars_export.pipeline.counters import Counters
from polars_export.report import ExportReport
from polars_export.sources.stream import is_piped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polars_export.execution.tasks import Lines, PartAccount

__all__ = ["ExportProgress", "RunState"]

ExportProgress: TypeAlias = Callable[[int, int | None, int], None]
"""Is told, again and again, the bytes read, the bytes in all (None if not known) and the traces read."""


@dataclass(slots=True)
class RunState:
    """The account of an export: what its sources are, and what became of that which has been read."""

    sources: Sequence[tuple[str, int]]
    on_progress: ExportProgress | None
    rejects: str | None
    piped: bool = field(init=False)
    bytes_stored: int = field(init=False)
    began: float = field(default_factory=time.monotonic)
    tally: Counters = field(default_factory=Counters)
    seen: CardStatistics = field(default_factory=CardStatistics)
    passed_over: dict[str, str] = field(default_factory=dict)
    lines: Lines = field(default_factory=dict)
    resumed: int = 0
    bytes_read: int = 0
    traces_read: int = 0

    def __post_init__(self) -> None:
        self.piped = any(is_piped(path) for path, _ in self.sources)
        self.bytes_stored = sum(size for _, size in self.sources)

    def add(self, part: PartAccount) -> None:
        """Add the account of a part."""
        self.tally.add(part.tally)
        self.passed_over |= part.passed_over
        add_lines(self.lines, part.lines)

    def told(self, bytes_read: int, traces: int) -> None:
        """Take note of progress."""
        self.bytes_read += bytes_read
        self.traces_read += traces
        if self.on_progress:
            self.on_progress(self.bytes_read, None if self.piped else self.bytes_stored, self.traces_read)

    def report(self, output: str) -> ExportReport:
        """Return the account as a user sees it."""
        tally = self.tally
        return ExportReport(
            output=output,
            records=tally.records,
            traces_read=tally.traces_read,
            exported=tally.exported,
            dropped=dict(tally.dropped),
            dropped_content=dict(tally.dropped_content),
            passed_over=self.passed_over,
            bytes_read=self.bytes_stored,
            seconds=time.monotonic() - self.began,
            rejects=self.rejects,
            resumed=self.resumed,
        )
