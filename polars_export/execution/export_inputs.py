"""The files that an export reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from polars_export.execution.table_parts import find
from polars_export.inputs.registry import check_input
from polars_export.prompts.find import eval_sets_of, find_eval_set_files
from polars_export.sources.find import as_list, searched_directories
from polars_export.sources.fingerprint import content_sha256
from polars_export.sources.segments import size_of
from polars_export.sources.store import as_source_error
from polars_export.sources.stream import is_piped
from polars_export.writers.manifest import ManifestFile, SideInputFiles

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.sources.find import FoundFile, Sources
    from polars_export.table_files.layout import TableFiles

__all__ = ["ExportInputs", "find_inputs"]


@dataclass(frozen=True, slots=True)
class ExportInputs:
    """The files that an export reads.

    Attributes:
        sources: Those with the traces.
        searched: The directories in which they were searched for.
        eval_sets: Those with the prompts.
        tools: That with the tools.
        joins_prompts: Whether the records hold prompts and tools.
        tables: The stored tables, by the place of the first of their files among the sources.
    """

    sources: list[FoundFile]
    searched: list[str]
    eval_sets: list[str]
    tools: str | None
    joins_prompts: bool
    tables: dict[int, TableFiles] = field(default_factory=dict)

    @property
    def paths(self) -> list[str]:
        """The files with the traces."""
        return [source.path for source in self.sources]

    @property
    def side_inputs(self) -> list[str]:
        """The files with prompts and tools."""
        return [*self.eval_sets, *([self.tools] if self.tools else [])]

    def side_input_files(self) -> SideInputFiles:
        """Return the files with prompts and tools, with the checksums of their contents."""
        tools = _manifest_file(self.tools) if self.tools else None
        return SideInputFiles([_manifest_file(path) for path in self.eval_sets], tools)

    @property
    def files(self) -> list[str]:
        """All files."""
        return [*self.paths, *self.side_inputs]


def _manifest_file(path: str) -> ManifestFile:
    """Return what the manifest says of a file with prompts or tools.

    Raises:
        SourceError: It cannot be read.
    """
    if is_piped(path):
        return ManifestFile(path, None, None)
    with as_source_error(path):
        return ManifestFile(path, size_of(path), content_sha256(path))


def find_inputs(sources: Sources, options: ExportOptions) -> ExportInputs:
    """Find what an export reads.

    Raises:
        SourceError: There is no such file, or a directory holds none.
    """
    sources = as_list(sources)
    check_input(options.input)
    found = find(sources)
    joins_prompts = options.target.joins_prompts
    eval_sets = find_eval_set_files(eval_sets_of(sources, options.prompts)) if joins_prompts else []
    searched = searched_directories(sources, found.files)
    return ExportInputs(found.files, searched, eval_sets, options.tools, joins_prompts, found.tables)
