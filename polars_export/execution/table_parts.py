"""Find the sources of an export, cut them into parts, and put each into a task; loads Polars only for tables."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, cast

from polars_export.execution.tasks import RenderPart, RenderTables, ScanPart, ScanTables, StoredTables, TablePart
from polars_export.inputs.find import find_sources
from polars_export.inputs.partition import partition
from polars_export.inputs.read_options import DEFAULT
from polars_export.process import preserve_sigint
from polars_export.sources import segments
from polars_export.sources.find import FoundFile, expand
from polars_export.sources.segments import size_of
from polars_export.table_files.layout import find_table_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from polars_export.execution.journal import RenderTask
    from polars_export.inputs.partition import Part
    from polars_export.inputs.read_options import ReadOptions
    from polars_export.sources.find import Source
    from polars_export.table_files.layout import TableFiles
    from polars_export.tables.tables import Tables

__all__ = ["FRAMES", "FoundSources", "as_tables", "find", "parts_of", "render_task", "scan_task", "tables_size"]

FRAMES = "frames in memory"
"""What tables that a program hands over are called in messages and in the manifest."""


class FoundSources(NamedTuple):
    """The files of all sources in order.

    Attributes:
        files: Each file, those of stored tables among them.
        tables: The stored tables, by the place of the first of their files.
    """

    files: list[FoundFile]
    tables: dict[int, TableFiles]

    def only_files(self) -> list[FoundFile]:
        """Return the files that are none of stored tables."""
        of_tables = {path for tables in self.tables.values() for path in tables.paths}
        return [file for file in self.files if file.path not in of_tables]


def as_tables(sources: object) -> Tables | None:
    """Return sources if they are tables in memory: nobody can have made any before their module was loaded."""
    module = sys.modules.get("polars_export.tables.tables")
    return cast("Tables", sources) if module is not None and isinstance(sources, module.Tables) else None


def tables_size(tables: Tables) -> int:
    """Return the bytes that tables take in memory, about."""
    return int(tables.traces.estimated_size() + tables.turns.estimated_size())


def find(sources: Sequence[Source]) -> FoundSources:
    """Return the files of sources, those of directories that hold stored tables among them.

    Raises:
        SourceError: A source does not exist, or there are no files in it.
    """
    found = FoundSources([], {})
    names: list[str] = []  # that follow one another: what one of them names may continue in another
    for source in sources:
        for name, tables in _named(os.fspath(source)):
            if not tables:
                names.append(name)
                continue
            found.files.extend(find_sources(names))
            names.clear()
            found.tables[len(found.files)] = tables
            found.files.extend(FoundFile(path) for path in tables.paths)
    found.files.extend(find_sources(names))
    return found


def _named(source: str) -> Iterator[tuple[str, TableFiles | None]]:
    """Yield a source, or where some of the paths of a glob are stored tables each of these paths."""
    if source == "-":
        yield source, None
        return
    paths = [(path, find_table_files(path)) for path in expand(source)]
    if any(tables for _, tables in paths):
        yield from paths
    else:
        yield source, None


def parts_of(found: FoundSources, options: ReadOptions = DEFAULT) -> Iterator[Part | TablePart]:
    """Yield the parts of some sources in order. They depend on the sources alone.

    Raises:
        SourceError: A source cannot be opened.
    """
    of_tables = {
        number + place: number for number, tables in found.tables.items() for place in range(len(tables.paths))
    }
    for first, numbers in groupby(range(len(found.files)), key=of_tables.get):
        run = list(numbers)
        if first is None:
            for part in partition([found.files[number] for number in run], options):
                yield tuple(replace(segment, number=segment.number + run[0]) for segment in part)
        else:
            yield from table_parts(first, found.tables[first])


def table_parts(number: int, files: TableFiles) -> Iterator[TablePart]:
    """Yield the parts of stored tables.

    Args:
        number: The place of the first of their files among all sources.
        files: The tables.

    Raises:
        SourceError: A file cannot be read.
    """
    with preserve_sigint():
        from polars_export.table_files.reader import trace_groups  # noqa: PLC0415 - loads Polars

    stored = StoredTables(files, tuple(trace_groups(files)))
    sizes = [group.size for group in stored.groups]
    bytes_left, share_of = sum(map(size_of, files.paths)), sum(sizes)
    start = held = 0
    for place, size in enumerate(sizes):
        held += size
        if held >= segments.PART_BYTES or place == len(sizes) - 1:
            bytes_stored = bytes_left * held // share_of if share_of else 0
            yield TablePart(number, stored, start, place + 1, bytes_stored)
            bytes_left, share_of = bytes_left - bytes_stored, share_of - held
            start, held = place + 1, 0


def render_task(number: int, part: Part | TablePart) -> RenderTask:
    """Return the task that renders a part."""
    return RenderTables(number, part) if isinstance(part, TablePart) else RenderPart(number, part)


def scan_task(number: int, part: Part | TablePart) -> ScanPart | ScanTables:
    """Return the task that scans a part."""
    return ScanTables(number, part) if isinstance(part, TablePart) else ScanPart(number, part)
