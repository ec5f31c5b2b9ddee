"""What the processes of an export are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from polars_export.pipeline.counters import Counters

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from polars_export.options import ExportOptions
    from polars_export.pipeline.card_statistics import CardStatistics
    from polars_export.report import ExportReport
    from polars_export.sources.random_access import StoredSource
    from polars_export.sources.segments import Part
    from polars_export.writers.dataset_repository import Shard
    from polars_export.writers.file_assembler import Block

__all__ = ["ChosenTask", "Description", "Job", "PartAccount", "PartTask", "RenderedPart", "ScannedPart"]


@dataclass(frozen=True, slots=True)
class Job:
    """One export.

    Attributes:
        eval_sets: The files with the prompts, where the records hold such.
        options: What to export.
        output: The name of the output.
        into_directory: Whether that is a dataset repository.
        parts: Directory for the files of the parts and the spools.
    """

    eval_sets: tuple[str, ...]
    options: ExportOptions
    output: str
    into_directory: bool
    parts: Path


class PartTask(NamedTuple):
    """A part to be read, and its number among all."""

    number: int
    part: Part

    @property
    def size(self) -> int:
        """Return the bytes that are read for the first time."""
        return sum(segment.size for segment in self.part)


class ChosenTask(NamedTuple):
    """Pairs to be read again, and their number among all parts.

    `places` is a Polars frame with one row per trace, chosen, rejected, chosen, rejected, and so on: `source`, `offset`
    and `length`. `stored` has the sources that occur.
    """

    number: int
    places: Any
    stored: dict[int, StoredSource]

    @property
    def size(self) -> int:
        """Return the bytes that are read for the first time: none."""
        return 0


class Description(NamedTuple):
    """What is told of a finished dataset: the path and size of its sources, its shards, its account, its traces."""

    sources: Sequence[tuple[str, int | None]]
    shards: Sequence[Shard]
    report: ExportReport
    seen: CardStatistics


Lines: TypeAlias = dict[int, int | None]
"""How many lines were read of a source, by its number; None where that is not known."""


def add_lines(known: Lines, more: Lines) -> None:
    """Add to the lines that are known those read since."""
    for source, lines in more.items():
        before = known.get(source, 0)
        known[source] = None if before is None or lines is None else before + lines


@dataclass(frozen=True, slots=True)
class PartAccount:
    """What became of that which a part holds.

    Attributes:
        tally: The counts.
        passed_over: Sources without traces, with what they hold.
        lines: The lines read.
        rejects: File with the records that cannot be used, their lines counted from the first one read; None without.
    """

    tally: Counters = field(default_factory=Counters)
    passed_over: dict[str, str] = field(default_factory=dict)
    lines: Lines = field(default_factory=dict)
    rejects: Path | None = None


class RenderedPart(NamedTuple):
    """The records of a part: where their blocks are, what the card tells of them, and the account."""

    path: Path
    blocks: list[Block]
    seen: CardStatistics
    account: PartAccount


class ScannedPart(NamedTuple):
    """The qualifying traces of a part.

    `traces` is a Polars frame with one row per trace, in input order: `case_high` and `case_low`, which tell its case,
    `score`, and where it stands: `source`, `offset`, `length`. That is 40 bytes each.
    """

    traces: Any
    stored: dict[int, StoredSource]
    account: PartAccount
