"""Conduct an export: find the sources, cut them into tasks, have these run, and collect what comes back.

This process hands out the work of others. Until it chooses among traces itself, it loads neither Polars nor pyarrow,
which takes as long as they need to load them.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import starmap
from typing import TYPE_CHECKING, Any

from polars_export.choices import FileType
from polars_export.errors import InputError, SourceError
from polars_export.execution.cpus import available_cpus
from polars_export.execution.in_process_executor import InProcessExecutor
from polars_export.execution.journal import job_key
from polars_export.execution.output_collector import OutputCollector
from polars_export.execution.process_executor import ProcessExecutor
from polars_export.execution.read_options import read_options
from polars_export.execution.run_state import RunState
from polars_export.execution.tasks import CheckPart, DescribeDataset, Job, RenderPart, ScanPart, StoreSideInputs
from polars_export.inputs.find import find_sources
from polars_export.inputs.partition import partition
from polars_export.inputs.registry import check_input
from polars_export.option_values import path
from polars_export.options import ExportOptions
from polars_export.process import preserve_sigint
from polars_export.prompts.find import eval_sets_of, find_eval_set_files
from polars_export.sources.find import as_list, searched_directories
from polars_export.sources.fingerprint import content_sha256
from polars_export.sources.segments import raise_if_all_skipped, size_of
from polars_export.sources.store import as_source_error
from polars_export.sources.stream import is_piped
from polars_export.writers import (
    STDOUT,
    DatasetWriter,
    Plan,
    check_output,
    file_type_of,
    open_output,
    rejects_path,
)
from polars_export.writers.manifest import ManifestFile, SideInputFiles

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from polars_export.execution.executor import Executor, ExecutorFactory
    from polars_export.execution.run_state import ExportProgress
    from polars_export.execution.tasks import StoredInput, Task
    from polars_export.input_options import InputOptions
    from polars_export.inputs.partition import Part
    from polars_export.report import ExportReport
    from polars_export.sources.find import FoundFile, Sources

__all__ = ["ExportInputs", "export", "find_inputs", "make_executor"]

_LEAST_FOR_PROCESSES = 48 << 20
"""Bytes of the sources from which on other processes run the tasks: to start them takes as long as to export these."""


def export(  # noqa: PLR0913 - what to export, and how it runs
    sources: Sources,
    output: str | os.PathLike[str],
    options: ExportOptions | None = None,
    *,
    input_options: InputOptions | None = None,
    on_progress: ExportProgress | None = None,
    executor: ExecutorFactory | None = None,
) -> ExportReport:
    """Export the traces of some sources to a file or a dataset repository.

    Args:
        sources: Files, directories, globs or `-` for standard input: one or an iterable.
        output: A file whose name ends in `.jsonl`, `.jsonl.gz`, `.jsonl.zst` or `.parquet`; `-` for JSON lines on
            standard output; or a directory, which becomes a dataset repository. It is replaced when the export is
            complete (a directory only with the option `overwrite`), and left alone if the export fails.
        options: What to export.
        input_options: How the sources are read, in place of what `options` say of that.
        on_progress: Called again and again with the bytes read, the bytes in all (None if not known), the traces read.
        executor: Makes what runs the tasks, in place of this process or, where there is much to read, local processes.

    Raises:
        InputError: A source or a record cannot be used.
        NothingToExportError: No trace is left to write; no file is made or touched.
        OutputError: The output could not be written, or another export is writing to it.
        OptionError: The output has no ending that is known, or is among the sources.
        WorkerError: A process was ended from outside.
    """
    options, output = ExportOptions.or_default(options).with_input(input_options), path("output", output)
    inputs = find_inputs(sources, options)
    into_directory = check_output(output, inputs.files, inputs.searched, overwrite=options.overwrite)
    if not into_directory:
        options.check_file_output(is_file=output != STDOUT)
    rejects = rejects_path(output, inputs.files, into_directory=into_directory) if options.skips else None
    repository = options.repository
    plan = Plan(repository.file_type.value, repository.max_shard_bytes, options.overwrite) if into_directory else None
    state = RunState([(path, size_of(path, tolerant=options.skips)) for path in inputs.paths], on_progress, rejects)
    side_input_files = inputs.side_input_files()
    with open_output(output, plan, job_key(side_input_files, options), resume=options.resume) as opened:
        parts = list(partition(inputs.sources, read_options(options)))
        rendering = options if into_directory else replace(options, file_type=FileType(file_type_of(output)))
        side_inputs = opened.parts / "side-inputs" if inputs.joins_prompts else None
        job = Job(tuple(inputs.eval_sets), rendering, output, into_directory, opened.parts, side_inputs)
        workers = min(_worker_count(inputs, state, options), len(parts))
        with (
            (executor or make_executor)(job, workers) as running,
            OutputCollector(output, opened, state) as collector,
        ):
            run = _Run(job, parts, running, state, collector, side_input_files)
            run.render()
            raise_if_all_skipped(state.skipped_files, inputs.sources)
            state.counters.raise_if_empty(options)
            if isinstance(opened.writer, DatasetWriter):
                run.describe(opened.writer)
    return state.report(output)


@dataclass(frozen=True, slots=True)
class ExportInputs:
    """The files that an export reads.

    Attributes:
        sources: Those with the traces.
        searched: The directories in which they were searched for.
        eval_sets: Those with the prompts.
        tools: That with the tools.
        joins_prompts: Whether the records hold prompts and tools.
    """

    sources: list[FoundFile]
    searched: list[str]
    eval_sets: list[str]
    tools: str | None
    joins_prompts: bool

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
    found = find_sources(sources)
    joins_prompts = options.target.joins_prompts
    eval_sets = find_eval_set_files(eval_sets_of(sources, options.prompts)) if joins_prompts else []
    return ExportInputs(found, searched_directories(sources, found), eval_sets, options.tools, joins_prompts)


def make_executor(job: Job, workers: int) -> Executor:
    """Return what runs the tasks of a job: this process alone, or as many others as there are workers."""
    return ProcessExecutor(job, workers) if workers > 1 else InProcessExecutor(job)


def _worker_count(inputs: ExportInputs, state: RunState, options: ExportOptions) -> int:
    """Return how many workers can read the sources: a pipe belongs to this process."""
    if state.bytes_stored < _LEAST_FOR_PROCESSES or any(map(is_piped, inputs.files)):
        return 1
    return options.workers or available_cpus()


@dataclass(frozen=True, slots=True)
class _Run:
    """The tasks of one export, and where their results go."""

    job: Job
    parts: Sequence[Part]
    executor: Executor
    state: RunState
    collector: OutputCollector
    side_inputs: SideInputFiles

    def render(self) -> None:
        """Have all records rendered and written."""
        if self.job.options.looks_across:
            self._render_selection()
        else:
            self._store_side_inputs()
            self.collector.render(starmap(RenderPart, enumerate(self.parts)), self.executor)

    def describe(self, dataset: DatasetWriter) -> None:
        """Put the card, the manifest and their like beside the data of a finished dataset."""
        state = self.state
        report = state.report(self.job.output)
        task = DescribeDataset(state.source_files(), self.side_inputs, dataset.finish(), report, state.statistics)
        for texts in self.executor.run([task], self.state.add_progress):
            for name, text in texts.items():
                dataset.add_file(name, text)

    def _store_side_inputs(self) -> None:
        if self.job.side_inputs:
            self._run_all([StoreSideInputs(self.job.side_inputs)])

    def _render_selection(self) -> None:
        """Scan all traces, choose among them and have the chosen ones rendered.

        Raises:
            InputError: The first thing in the order of the sources that cannot be used.
        """
        with preserve_sigint():
            from polars_export.execution.choose import choose  # noqa: PLC0415 - while the workers load Polars too

        self._store_side_inputs()
        frames: list[Any] = []  # see `ScannedPart.traces`
        openings: list[Any] = []
        stored: dict[int, StoredInput] = {}
        try:
            for part in self.executor.run(starmap(ScanPart, enumerate(self.parts)), self.state.add_progress):
                frames.append(part.traces)
                openings.append(part.openings)
                stored |= part.stored
                self.collector.add_scanned(part.account)
            if not self.state.counters.missing:
                tasks = choose(frames, openings, stored, self.job.options, self.state.counters)
                self.collector.render(tasks, self.executor)
        except InputError as error:
            self._raise_first_error(error, parts_scanned=len(frames))

    def _raise_first_error(self, error: InputError, *, parts_scanned: int) -> None:
        """Raise the error of the first invalid record: a scan finds it in what it reads, which is not all of a trace.

        Raises:
            InputError: That one, or the error given if it cannot be found again.
        """
        if not self.job.options.skips and not (self.state.piped and isinstance(error, SourceError)):
            with suppress(SourceError):  # was raised already, or the source has changed since
                self._run_all(map(CheckPart, self.parts[: parts_scanned + 1]))
        raise error from None

    def _run_all(self, tasks: Iterable[Task[None]]) -> None:
        deque(self.executor.run(tasks, self.state.add_progress), maxlen=0)
