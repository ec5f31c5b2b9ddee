"""Add to stored tables: what their manifest says of their sources, and what of these is read again."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polars_export.errors import OptionError
from polars_export.execution.export_inputs import find_inputs
from polars_export.execution.table_parts import table_parts
from polars_export.inputs.partition import partition
from polars_export.sources.fingerprint import block_checksums, checksum
from polars_export.sources.segments import Segment, size_of
from polars_export.sources.stream import is_piped
from polars_export.table_files.layout import find_table_files
from polars_export.writers.manifest import ManifestFile, as_read_back, options_of_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polars_export.execution.export_inputs import ExportInputs
    from polars_export.execution.tasks import TablePart
    from polars_export.inputs.partition import Part
    from polars_export.inputs.read_options import ReadOptions
    from polars_export.options import ExportOptions
    from polars_export.sources.find import FoundFile, Sources
    from polars_export.table_files.layout import TableFiles
    from polars_export.writers.manifest import SideInputFiles

__all__ = ["Addition", "find_addition"]


@dataclass(frozen=True, slots=True)
class Addition:
    """What is stored when sources are added to earlier tables, in order.

    Attributes:
        inputs: What is read: the sources that are new or have changed.
        tables: The earlier tables.
        files: All sources: those of the earlier tables in their order, then the new ones; a size and a checksum where
            their traces are taken from the earlier tables.
        read: Those of them that are read.
    """

    inputs: ExportInputs
    tables: TableFiles
    files: list[ManifestFile]
    read: dict[int, FoundFile]

    def known_files(self) -> dict[int, ManifestFile]:
        """Return the sources whose traces are taken from the earlier tables, by their places."""
        return {number: file for number, file in enumerate(self.files) if number not in self.read}

    def sizes(self) -> list[tuple[str, int]]:
        """Return the path and size of each source."""
        return [(file.path, file.bytes or 0) for file in self.files]

    def parts(self, options: ReadOptions, /) -> Iterator[Part | TablePart]:
        """Yield the parts of all sources in order.

        Raises:
            SourceError: A source or the tables cannot be read.
        """
        for is_read, numbers in groupby(range(len(self.files)), key=self.read.__contains__):
            run = list(numbers)
            if not is_read:
                kept = tuple(self.files[number].path for number in run)
                yield from (part._replace(keep=kept) for part in table_parts(run[0], self.tables))
                continue
            for part in partition([self.read[number] for number in run], options):
                yield tuple(replace(segment, number=segment.number + run[0]) for segment in part)


def find_addition(sources: Sources, output: str, options: ExportOptions) -> Addition | None:
    """Return what is to be done where an output holds earlier tables; None where it does not.

    Raises:
        OptionError: They were made with other options, or the sources cannot be added.
        SourceError: A source cannot be read.
    """
    tables, manifest = find_table_files(output), _manifest_of(output)
    if tables is None or manifest is None:
        return None
    inputs = find_inputs(sources, options)
    _check_same(manifest, options, inputs.side_input_files(), output)
    if inputs.tables or any(is_piped(source.path) for source in inputs.sources) or options.skips:
        raise OptionError(
            "output",
            f"{output} holds tables; only sources that are files can be added, without --on-error skip: "
            "--overwrite replaces all of it",
        )
    files = [ManifestFile(**file) for file in manifest["sources"]]
    known = {file.path: number for number, file in enumerate(files)}
    read: dict[int, FoundFile] = {}
    for source in inputs.sources:
        number = known.setdefault(source.path, len(files))
        found = _described(source)
        if number == len(files):
            files.append(found)
        elif files[number] == found:
            continue
        files[number], read[number] = found, source
    return Addition(replace(inputs, sources=list(read.values())), tables, files, read)


def _described(source: FoundFile) -> ManifestFile:
    size = size_of(source.path)
    blocks = block_checksums(Segment(0, source.path, size=size, file_size=size))
    return ManifestFile(source.path, size, checksum(blocks, size))


def _manifest_of(output: str) -> dict[str, Any] | None:
    """Return the manifest of stored tables; None where there is none that can be read."""
    try:
        manifest = json.loads((Path(output) / "manifest.json").read_bytes())
        tables = {shard["split"] for shard in manifest["shards"]}
        known = all(set(file) == set(ManifestFile._fields) and file["checksum"] for file in manifest["sources"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return manifest if tables == {"traces", "turns"} and known else None


def _check_same(manifest: dict[str, Any], options: ExportOptions, files: SideInputFiles, output: str) -> None:
    now = as_read_back(options_of_tables(options.as_dict()), files)
    different = sorted(name for name, value in now.items() if manifest.get(name, value) != value)
    before, asked = manifest.get("options", {}), now["options"]
    if "options" in different:
        different.remove("options")
        different += sorted(name for name in asked if before.get(name) != asked[name])
    if different:
        names = ", ".join(dict.fromkeys(different))
        problem = f"{output} holds tables that were made with other options ({names})"
        raise OptionError("output", f"{problem}; --overwrite replaces all of it")
