"""Store the traces of sources as tables: a repository of two configurations, `traces` and `turns`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from polars_export.execution.add_tables import find_addition
from polars_export.execution.conductor import Conduct, conduct
from polars_export.execution.table_parts import as_tables
from polars_export.option_values import path
from polars_export.options import ExportOptions

if TYPE_CHECKING:
    import os

    from polars_export.execution.executor import ExecutorFactory
    from polars_export.execution.run_state import ExportProgress
    from polars_export.input_options import InputOptions
    from polars_export.report import ExportReport
    from polars_export.sources.find import Sources
    from polars_export.tables.tables import Tables

__all__ = ["write_tables"]


def write_tables(  # noqa: PLR0913 - what to store, and how it runs
    sources: Sources | Tables,
    output: str | os.PathLike[str],
    options: InputOptions | None = None,
    *,
    max_shard_bytes: int | str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    on_progress: ExportProgress | None = None,
    executor: ExecutorFactory | None = None,
) -> ExportReport:
    """Store the traces of some sources as tables, which `read`, `export` and `scan_tables` take as a source.

    Into its own earlier output it adds: what the tables have of a file that has not changed (by path, size, checksum)
    stays, new traces come behind, and those of a changed file are replaced in their place; all in one step.

    Args:
        sources: As for `export`; of tables in memory, columns of your own are not written.
        output: A directory, empty or with earlier tables; it is left alone if anything fails.
        options: How the sources are read; prompts become messages of the tables.
        max_shard_bytes: Maximum size of a file of one of the tables, in bytes of its rows in memory.
        overwrite: Whether to replace a directory that is not empty, rather than to add to tables in it.
        resume: Whether to resume an interrupted run into the same output.
        on_progress: As for `export`.
        executor: As for `export`.

    Returns:
        The account; its records are the traces that were written.

    Raises:
        InputError: A source or a record cannot be used.
        NothingToExportError: There are no traces.
        OutputError: The output could not be written.
        OptionError: The output is no directory or holds tables made with other options, or an option cannot be used.
    """
    as_export = ExportOptions(
        "chatml",
        target="trl",  # which reads prompts and tools, and takes every kind of input
        max_shard_bytes=max_shard_bytes,
        overwrite=overwrite,
        resume=resume,
    ).with_input(options)
    return _add_or_write(sources, path("output", output), as_export, Conduct(on_progress, executor, stores_tables=True))


def _add_or_write(sources: Sources | Tables, output: str, options: ExportOptions, how: Conduct) -> ExportReport:
    if options.overwrite or as_tables(sources) is not None:
        return conduct(sources, output, options, how)
    addition = find_addition(cast("Sources", sources), output, options)
    if addition is None:
        return conduct(sources, output, options, how)
    return conduct(sources, output, replace(options, overwrite=True), how._replace(addition=addition))
