"""Conduct an export: cut the sources into parts, have them worked on, and put what comes back into the output.

Nothing here needs Polars or pyarrow before a pair is chosen: while this process hands out work, the others load them.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from itertools import starmap
from typing import TYPE_CHECKING, Any

from polars_export.errors import InputError, SourceError
from polars_export.execution.cpus import available_cpus
from polars_export.execution.in_process_executor import InProcessExecutor
from polars_export.execution.journal import job_key
from polars_export.execution.output_collector import OutputCollector
from polars_export.execution.process_executor import ProcessExecutor
from polars_export.execution.run_state import RunState
from polars_export.execution.tasks import CheckPart, DescribeDataset, Job, RenderPart, ScanPart
from polars_export.inputs.find import find_sources
from polars_export.options import ExportOptions, Target, TrainingFormat
from polars_export.process import preserve_sigint
from polars_export.prompts.find import eval_sets_of, find_eval_set_files
from polars_export.sources.find import as_list, searched_directories
from polars_export.sources.segments import parts_of, raise_if_all_skipped, size_of
from polars_export.sources.stream import is_piped
from polars_export.writers import DatasetWriter, Plan, check_output, open_output, rejects_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polars_export.execution.executor import Executor, ExecutorFactory
    from polars_export.execution.run_state import ExportProgress
    from polars_export.report import ExportReport
    from polars_export.sources.find import Source, Sources
    from polars_export.sources.random_access import StoredSource
    from polars_export.sources.segments import Part

__all__ = ["eval_set_files", "export", "make_executor"]

_LEAST_FOR_PROCESSES = 48 << 20
"""Bytes of the sources from which on other processes are started, which takes as long as exporting some 50 MB."""


def export(
    sources: Sources,
    output: str | os.PathLike[str],
    options: ExportOptions | None = None,
    *,
    on_progress: ExportProgress | None = None,
    executor: ExecutorFactory | None = None,
) -> ExportReport:
    """Export the traces of some sources to a file or a dataset repository.

    Args:
        sources: ReplayedFiles, directories, globs or `-` for standard input: one or an iterable.
        output: A file whose name ends in `.jsonl`, `.jsonl.gz`, `.jsonl.zst` or `.parquet`; `-` for JSON lines on
            standard output; or a directory, which becomes a dataset repository. What is there is replaced when the
            export is complete (a directory only with the option `overwrite`), and left alone if it fails.
        options: What to export.
        on_progress: Called again and again with the bytes read, the bytes in all (None if not known), the traces read.
        executor: Makes what runs the tasks of the export, in place of this process or, for large sources, local ones.

    Raises:
        InputError: A source or a record cannot be used.
        NothingToExportError: No trace is left to write; no file is made or touched.
        OutputError: The output could not be written, or another export is writing to it.
        OptionError: The output has no ending that is known, or is among the sources.
        WorkerError: A process was ended from outside.
    """
    options = options or ExportOptions()
    output = os.fspath(output)
    sources = as_list(sources)
    found = find_sources(sources)
    paths = [source.path for source in found]
    sets = eval_set_files(sources, options)
    beside = [*sets, *([options.tools] if options.tools else [])]
    files = [*paths, *beside]
    into_directory = check_output(output, files, searched_directories(sources, found), overwrite=options.overwrite)
    rejects = rejects_path(output, files, into_directory=into_directory) if options.skips else None
    account = RunState([(path, size_of(path, tolerant=options.skips)) for path in paths], on_progress, rejects)
    plan = Plan(options.file_type.value, options.max_shard_bytes, options.overwrite) if into_directory else None
    with open_output(output, plan, job_key(beside, options), resume=options.resume) as opened:
        job = Job(tuple(sets), options, output, into_directory, opened.parts)
        parts = list(parts_of(found, tolerant=options.skips))
        workers = min(_worker_count(account, beside, options), len(parts))
        with (executor or make_executor)(job, workers) as running, OutputCollector(output, opened, account) as to:
            if options.format is TrainingFormat.DPO:
                _export_pairs(running, parts, options, account, to)
            else:
                to.render(starmap(RenderPart, enumerate(parts)), running)
            raise_if_all_skipped(account.passed_over, found)
            account.tally.raise_if_empty(options.quality_threshold)
            if isinstance(opened.writer, DatasetWriter):
                _describe(running, opened.writer, account.report(output), account)
    return account.report(output)


def make_executor(job: Job, workers: int) -> Executor:
    """Return what runs the tasks of a job: this process alone, or as many others as there are workers."""
    return ProcessExecutor(job, workers) if workers > 1 else InProcessExecutor(job)


def eval_set_files(sources: Sequence[Source], options: ExportOptions) -> list[str]:
    """Return the files of the eval sets in force; none where the records hold no prompts."""
    return [] if options.target is Target.REFERENCE else find_eval_set_files(eval_sets_of(sources, options.prompts))


def _worker_count(account: RunState, beside: Sequence[str], options: ExportOptions) -> int:
    if account.piped or any(map(is_piped, beside)):
        return 1
    return 1 if account.bytes_stored < _LEAST_FOR_PROCESSES else options.workers or available_cpus()


def _export_pairs(
    executor: Executor, parts: Sequence[Part], options: ExportOptions, account: RunState, to: OutputCollector
) -> None:
    """Skim all traces, choose among them and have the chosen ones rendered.

    Raises:
        InputError: What cannot be used first of the sources, if something was met.
    """
    with preserve_sigint():
        from polars_export.execution.choose import choose  # noqa: PLC0415 - Polars is loaded while the others load it too

    scanned: list[Any] = []  # frames: see `ScannedPart`
    stored: dict[int, StoredSource] = {}
    met = 0
    try:
        for part in executor.run(starmap(ScanPart, enumerate(parts)), account.told):
            scanned.append(part.traces)
            stored |= part.stored
            to.scanned(part.account)
            met += 1
        if not account.tally.missing:
            to.render(choose(scanned, stored, options, account.tally), executor)
    except InputError as error:
        if options.skips or (account.piped and isinstance(error, SourceError)):
            raise
        # A scan reads the outline of all traces before anything reads a trace in full. What is reported is the first
        # invalid record of the sources all the same.
        with suppress(SourceError):  # said already, or the source is another by now
            deque(executor.run(map(CheckPart, parts[: met + 1]), account.told), maxlen=0)
        raise error from None


def _describe(executor: Executor, dataset: DatasetWriter, report: ExportReport, account: RunState) -> None:
    sources = [(path, None if is_piped(path) else size) for path, size in account.sources]
    task = DescribeDataset(sources, dataset.finish(), report, account.seen)
    for texts in executor.run([task], account.told):
        for name, text in texts.items():
            dataset.add_file(name, text)
