"""Conduct an export: find the sources, cut them into tasks, have these run, and collect what comes back.

This process hands out the work of others. Until it chooses among traces itself, it loads neither Polars nor pyarrow,
which takes as long as they need to load them.
"""

from __future__ import annotations

from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import starmap
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from polars_export.choices import FileType
from polars_export.errors import InputError, OptionError, SourceError
from polars_export.execution.cpus import available_cpus
from polars_export.execution.export_inputs import find_inputs
from polars_export.execution.in_process_executor import InProcessExecutor
from polars_export.execution.journal import job_key
from polars_export.execution.output_collector import OutputCollector
from polars_export.execution.process_executor import ProcessExecutor
from polars_export.execution.read_options import read_options
from polars_export.execution.run_state import RunState
from polars_export.execution.table_parts import (
    FRAMES,
    FoundSources,
    as_tables,
    parts_of,
    render_task,
    scan_task,
    table_parts,
    tables_size,
)
from polars_export.execution.tasks import (
    CheckPart,
    CountLines,
    DescribeDataset,
    Job,
    StoreSideInputs,
    StoreTables,
    TablePart,
)
from polars_export.option_values import path
from polars_export.options import ExportOptions
from polars_export.process import preserve_sigint
from polars_export.sources.segments import raise_if_all_skipped, size_of
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
from polars_export.writers.disk import os_errors_reported

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from polars_export.execution.executor import Executor, ExecutorFactory
    from polars_export.execution.export_inputs import ExportInputs
    from polars_export.execution.run_state import ExportProgress
    from polars_export.execution.tasks import StoredInput, StoredTables, Task
    from polars_export.input_options import InputOptions
    from polars_export.inputs.partition import Part
    from polars_export.inputs.read_options import ReadOptions
    from polars_export.report import ExportReport
    from polars_export.sources.find import Sources
    from polars_export.table_files.layout import TableFiles
    from polars_export.tables.tables import Tables
    from polars_export.writers.manifest import ManifestFile, SideInputFiles

__all__ = ["Addition", "Conduct", "conduct", "export", "make_executor"]

_LEAST_FOR_PROCESSES = 48 << 20
"""Bytes of the sources from which on other processes run the tasks: to start them takes as long as to export these."""


def export(  # noqa: PLR0913 - what to export, and how it runs
    sources: Sources | Tables,
    output: str | os.PathLike[str],
    options: ExportOptions | None = None,
    *,
    input_options: InputOptions | None = None,
    on_progress: ExportProgress | None = None,
    executor: ExecutorFactory | None = None,
) -> ExportReport:
    """Export the traces of some sources to a file or a dataset repository.

    Args:
        sources: Files, directories (stored tables among them), globs or `-` for standard input: one or an iterable.
            Or tables in memory; the score of their traces is that of their column `score`.
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
    return conduct(sources, output, options, Conduct(on_progress, executor))


class Conduct(NamedTuple):
    """How an export runs, and whether it stores tables in place of records; see `export`."""

    on_progress: ExportProgress | None = None
    executor: ExecutorFactory | None = None
    stores_tables: bool = False
    addition: Addition | None = None


class Addition(Protocol):
    """What is stored in place of earlier tables; see `add_tables`."""

    @property
    def inputs(self) -> ExportInputs:
        """What is read."""
        ...

    def known_files(self) -> Mapping[int, ManifestFile]:
        """Return the sources that are not read, by their places."""
        ...

    def sizes(self) -> list[tuple[str, int]]:
        """Return the path and size of each source."""
        ...

    def parts(self, options: ReadOptions, /) -> Iterator[Part | TablePart]:
        """Yield the parts of all sources."""
        ...


def conduct(sources: Sources | Tables, output: str, options: ExportOptions, how: Conduct) -> ExportReport:
    """Export as `export` does; or store tables, of which the options say how the sources are read."""
    frames, addition = as_tables(sources), how.addition
    inputs = addition.inputs if addition else find_inputs(cast("Sources", sources) if frames is None else (), options)
    into_directory = check_output(output, inputs.files, inputs.searched, overwrite=options.overwrite)
    if how.stores_tables and not into_directory:
        raise OptionError("output", f"tables are stored in a directory; found {output!r}")
    _check_options(options, output, into_directory=into_directory, in_memory=frames is not None)
    rejects = rejects_path(output, inputs.files, into_directory=into_directory) if options.skips else None
    repository = options.repository
    plan = Plan(repository.file_type.value, repository.max_shard_bytes, options.overwrite) if into_directory else None
    sizes = addition.sizes() if addition else _sizes(inputs, frames, options)
    known = addition.known_files() if addition else {}
    state = RunState(sizes, how.on_progress, rejects, in_memory=frames is not None, known_files=known)
    side_input_files = inputs.side_input_files()
    key = job_key(side_input_files, options) + (" tables" if how.stores_tables else "")
    with open_output(output, plan, key, resume=options.resume) as opened:
        parts = list(_parts(inputs, frames, opened.parts, options, how=how, output=output))
        rendering = options if into_directory else replace(options, file_type=FileType(file_type_of(output)))
        side_inputs = opened.parts / "side-inputs" if inputs.joins_prompts else None
        job = Job(
            tuple(inputs.eval_sets), rendering, output, into_directory, opened.parts, side_inputs, how.stores_tables
        )
        workers = min(_worker_count(inputs, state, options), len(parts))
        with (
            (how.executor or make_executor)(job, workers) as running,
            OutputCollector(output, opened, state) as collector,
        ):
            run = _Run(job, parts, running, state, collector, side_input_files)
            run.render()
            if not addition:
                raise_if_all_skipped(state.skipped_files, inputs.sources)
            state.counters.raise_if_empty(options)
            if isinstance(opened.writer, DatasetWriter):
                run.describe(opened.writer)
    return state.report(output)


def _check_options(options: ExportOptions, output: str, *, into_directory: bool, in_memory: bool) -> None:
    """Refuse options that the sources or the output would ignore.

    Raises:
        OptionError: One of them was given.
    """
    if not into_directory:
        options.check_file_output(is_file=output != STDOUT)
    if in_memory and options.resume:
        raise OptionError("resume", "is for sources that are files: frames in memory may have changed")


def _sizes(inputs: ExportInputs, frames: Tables | None, options: ExportOptions) -> list[tuple[str, int]]:
    """Return the name and size of each source."""
    if frames is not None:
        return [(FRAMES, tables_size(frames))]
    return [(path, size_of(path, tolerant=options.skips)) for path in inputs.paths]


def _parts(  # noqa: PLR0913 - all that there is
    inputs: ExportInputs,
    frames: Tables | None,
    folder: Path,
    options: ExportOptions,
    *,
    how: Conduct,
    output: str,
) -> Iterator[Part | TablePart]:
    """Return the parts of the sources."""
    if how.addition:
        return how.addition.parts(read_options(options))
    if frames is not None:
        return table_parts(0, _store_frames(frames, folder, options, how, output))
    return parts_of(FoundSources(inputs.sources, inputs.tables), read_options(options))


def _store_frames(tables: Tables, parts: Path, options: ExportOptions, how: Conduct, output: str) -> TableFiles:
    """Write tables to files from which every process can read them.

    Raises:
        SourceError: The tables are not what they should be.
        OutputError: They could not be written.
    """
    from polars_export.execution.frames import store_frames  # noqa: PLC0415 - loads Polars

    with os_errors_reported(output):
        folder = parts / "frames"
        folder.mkdir()
        return store_frames(tables, folder, options, is_full=how.stores_tables)


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
    parts: Sequence[Part | TablePart]
    executor: Executor
    state: RunState
    collector: OutputCollector
    side_inputs: SideInputFiles

    def render(self) -> None:
        """Have all records rendered and written."""
        if self.job.stores_tables:
            self._store_side_inputs()
            self.collector.render(self._store_tasks(), self.executor)
        elif self.job.options.looks_across:
            self._render_selection()
        else:
            self._store_side_inputs()
            self.collector.render(starmap(render_task, enumerate(self.parts)), self.executor)

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

    def _store_tasks(self) -> Iterator[StoreTables]:
        """Yield the tasks that store tables; each is told the lines before, which who reads a segment does not see."""
        counted = self.executor.run(map(CountLines, self.parts), self.state.add_progress)
        before: Counter[int] = Counter()
        for number, (part, lines) in enumerate(list(zip(self.parts, counted, strict=True))):
            starts = []
            for segment, count in () if isinstance(part, TablePart) else zip(part, lines, strict=True):
                starts.append(before[segment.number])
                before[segment.number] += count
            yield StoreTables(number, part, tuple(starts))

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
        stored: dict[int, StoredInput | StoredTables] = {}
        try:
            for part in self.executor.run(starmap(scan_task, enumerate(self.parts)), self.state.add_progress):
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
                scanned = self.parts[: parts_scanned + 1]
                self._run_all(CheckPart(part) for part in scanned if not isinstance(part, TablePart))
        raise error from None

    def _run_all(self, tasks: Iterable[Task[None]]) -> None:
        deque(self.executor.run(tasks, self.state.add_progress), maxlen=0)
