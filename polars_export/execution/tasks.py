"""What is to be done of an export, cut into tasks, and what each task results in.

Tasks and results travel between processes. They are plain data, and this module loads neither Polars nor pyarrow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar

from polars_export.pipeline.counters import Counters

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from polars_export.inputs.dialect import Match
    from polars_export.inputs.partition import Part
    from polars_export.options import ExportOptions
    from polars_export.pipeline.card_statistics import CardStatistics
    from polars_export.report import ExportReport
    from polars_export.sources.random_access import StoredSource
    from polars_export.table_files.layout import TableFiles, TraceGroup
    from polars_export.writers.dataset_repository import Shard
    from polars_export.writers.file_assembler import Block
    from polars_export.writers.manifest import ManifestFile, SideInputFiles

__all__ = [
    "CheckPart",
    "CountLines",
    "DescribeDataset",
    "Job",
    "Lines",
    "OnProgress",
    "PartAccount",
    "RenderPart",
    "RenderSelection",
    "RenderTables",
    "RenderedPart",
    "ScanPart",
    "ScanTables",
    "ScannedPart",
    "StoreSideInputs",
    "StoreTables",
    "StoredInput",
    "StoredTables",
    "TablePart",
    "Task",
    "add_lines",
]


@dataclass(frozen=True, slots=True)
class Job:
    """One export: what all of its tasks have in common.

    Attributes:
        eval_sets: The files with the prompts; none where the records hold no prompts.
        options: What to export.
        output: The name of the output.
        into_directory: Whether that is a dataset repository.
        parts: Directory for the files of the parts and the spools.
        side_inputs: The file to which `StoreSideInputs` writes; None where the records hold neither prompts nor tools.
        stores_tables: Whether the output is a repository of tables, in place of records.
    """

    eval_sets: tuple[str, ...]
    options: ExportOptions
    output: str
    into_directory: bool
    parts: Path
    side_inputs: Path | None = None
    stores_tables: bool = False


OnProgress: TypeAlias = Callable[[int, int], None]
"""Called by a task with the bytes and the traces that it has read since it called last."""


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
        counters: What became of its traces.
        skipped_files: Files without traces that a search found, with what they hold; nothing of those that belong to
            others.
        lines: The lines read.
        checksums: Those of the blocks of each source, by its number and their offsets, for a dataset repository.
        rejects: File with the invalid records, their lines counted from the first one read; None without.
    """

    counters: Counters = field(default_factory=Counters)
    skipped_files: dict[str, str] = field(default_factory=dict)
    lines: Lines = field(default_factory=dict)
    checksums: dict[int, dict[int, int]] = field(default_factory=dict)
    rejects: Path | None = None


class RenderedPart(NamedTuple):
    """The records of a part: where their blocks are, what the card says of them, and the account."""

    path: Path
    blocks: list[Block]
    statistics: CardStatistics
    account: PartAccount


class StoredInput(NamedTuple):
    """A source whose records can be read again, and what it was recognised as."""

    stored: StoredSource
    match: Match

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that are read."""
        return (self.stored.source,)


class StoredTables(NamedTuple):
    """Stored tables whose rows can be read again: their files and all row groups of their traces."""

    files: TableFiles
    groups: tuple[TraceGroup, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that are read."""
        return self.files.paths


class TablePart(NamedTuple):
    """Row groups of stored tables: one task of a process.

    Attributes:
        number: The place of the first of their files among all sources.
        tables: The tables.
        start: The first of the groups.
        end: The one behind the last of them.
        size: The bytes of the files that they take as stored, about.
        keep: The sources whose traces are read; None for all.
    """

    number: int
    tables: StoredTables
    start: int
    end: int
    size: int
    keep: tuple[str, ...] | None = None

    @property
    def groups(self) -> tuple[TraceGroup, ...]:
        """The groups of the part."""
        return self.tables.groups[self.start : self.end]


class ScannedPart(NamedTuple):
    """The traces of a part among which is chosen.

    `traces` is a Polars frame with one row per trace, in input order: where it stands (`source`, `offset`, `length`,
    `part`), `case_high` and `case_low`, which identify its case, and the columns that the rules look at. For pairs that
    is 44 bytes each. `openings`, where a dataset is split by prompt, is a frame as `selection.openings.OPENINGS` has
    it, of all valid traces.
    """

    traces: Any
    stored: dict[int, StoredInput | StoredTables]
    account: PartAccount
    openings: Any = None


_Result_co = TypeVar("_Result_co", covariant=True)


class Task(Generic[_Result_co]):
    """Something that `PartWorker.run` can do; the type parameter is what it results in."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class StoreSideInputs(Task[None]):
    """Read the job's eval sets and tools, and write them to a file, `path`, that all processes map into memory."""

    path: Path


@dataclass(frozen=True, slots=True)
class RenderPart(Task[RenderedPart]):
    """Read a part and render its qualifying traces. `number` is the part's place among all."""

    number: int
    part: Part

    @property
    def size(self) -> int:
        """Return the bytes that are read for the first time."""
        return sum(segment.size for segment in self.part)


@dataclass(frozen=True, slots=True)
class ScanPart(Task[ScannedPart]):
    """Read of a part what decides on a choice among all traces. `number` is the part's place among all."""

    number: int
    part: Part


@dataclass(frozen=True, slots=True)
class RenderTables(Task[RenderedPart]):
    """Read a part of stored tables and render its qualifying traces. `number` is the part's place among all."""

    number: int
    part: TablePart

    @property
    def size(self) -> int:
        """Return the bytes that are read for the first time."""
        return self.part.size


@dataclass(frozen=True, slots=True)
class ScanTables(Task[ScannedPart]):
    """Read of a part of stored tables what decides on a choice. `number` is the part's place among all."""

    number: int
    part: TablePart


@dataclass(frozen=True, slots=True)
class CountLines(Task[tuple[int, ...]]):
    """Count for each segment of a part the lines that start in it, of files that are cut; 0 for the others."""

    part: Part | TablePart


@dataclass(frozen=True, slots=True)
class StoreTables(Task[RenderedPart]):
    """Read a part of files or of stored tables and write it as tables.

    Attributes:
        number: The part's place among all.
        part: The part.
        lines: For each segment of files how many lines of its file stand before.
    """

    number: int
    part: Part | TablePart
    lines: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Return the bytes that are read for the first time."""
        part = self.part
        return part.size if isinstance(part, TablePart) else sum(segment.size for segment in part)


@dataclass(frozen=True, slots=True)
class CheckPart(Task[None]):
    """Decode every trace of a part in full, to find the first invalid one."""

    part: Part


@dataclass(frozen=True, slots=True)
class RenderSelection(Task[RenderedPart]):
    """Read chosen traces again and render them.

    Attributes:
        number: Its place among all such tasks.
        traces: A Polars frame with one row per trace, in the order of the records and in these: `source`, `offset`,
            `length`, `part` and `group`, the same number for the traces of one record; where a dataset is split by
            prompt, also `in_test`.
        stored: The sources that occur, by their numbers.
    """

    number: int
    traces: Any
    stored: dict[int, StoredInput | StoredTables]

    @property
    def size(self) -> int:
        """Return the bytes that are read for the first time: none."""
        return 0


@dataclass(frozen=True, slots=True)
class DescribeDataset(Task[dict[str, str]]):
    """Write the texts of the files that stand beside the data of a dataset repository, by the file's name.

    Attributes:
        sources: The files with the traces.
        side_inputs: Those with prompts and tools.
        shards: The files with the data.
        report: The account.
        statistics: What the card says of the exported traces.
    """

    sources: Sequence[ManifestFile]
    side_inputs: SideInputFiles
    shards: Sequence[Shard]
    report: ExportReport
    statistics: CardStatistics
