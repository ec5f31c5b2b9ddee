"""Conduct an export: cut the sources into parts, have them worked on, and put what comes back into the output.

Nothing here needs Polars or pyarrow before a pair is chosen: while this process hands out work, the others load them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from polars_export.errors import BadRecordError
from polars_export.options import ExportOptions, TrainingFormat
from polars_export.pipeline.crew import crew, own_handler_kept, processors
from polars_export.pipeline.job import Description, Job, PartTask
from polars_export.pipeline.seen import Seen
from polars_export.pipeline.tally import Tally
from polars_export.report import ExportReport
from polars_export.sources import find_sources, listed, parts_of, refuse_if_all, size_of
from polars_export.sources.stream import is_piped
from polars_export.writers import DatasetWriter, Plan, check_output, open_output

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from polars_export.pipeline.crew import Crew
    from polars_export.pipeline.job import RenderedPart, SkimmedPart
    from polars_export.sources import Sources, Stored
    from polars_export.writers import Output

__all__ = ["Watch", "export"]

Watch: TypeAlias = Callable[[int, int | None, int], None]
"""Is told, again and again, the bytes read, the bytes in all (None if not known) and the traces read."""

_LEAST_FOR_PROCESSES = 48 << 20
"""Bytes of the sources from which on other processes are started, which takes as long as exporting some 50 MB."""


@dataclass(slots=True)
class _Account:
    """What is known of an export under way."""

    sources: Sequence[tuple[str, int]]
    watch: Watch | None
    piped: bool = field(init=False)
    bytes_stored: int = field(init=False)
    began: float = field(default_factory=time.monotonic)
    tally: Tally = field(default_factory=Tally)
    seen: Seen = field(default_factory=Seen)
    passed_over: dict[str, str] = field(default_factory=dict)
    bytes_read: int = 0
    traces_read: int = 0

    def __post_init__(self) -> None:
        self.piped = any(is_piped(path) for path, _ in self.sources)
        self.bytes_stored = sum(size for _, size in self.sources)

    def add(self, part: SkimmedPart | RenderedPart) -> None:
        """Add the account of a part."""
        self.tally.add(part.tally)
        self.passed_over |= part.passed_over

    def told(self, bytes_read: int, traces: int) -> None:
        """Take note of progress."""
        self.bytes_read += bytes_read
        self.traces_read += traces
        if self.watch:
            self.watch(self.bytes_read, None if self.piped else self.bytes_stored, self.traces_read)

    def report(self, output: str) -> ExportReport:
        tally = self.tally
        return ExportReport(
            output=output,
            records=tally.records,
            traces_read=tally.traces_read,
            exported=tally.exported,
            left_out=dict(tally.left_out),
            not_carried=dict(tally.not_carried),
            passed_over=self.passed_over,
            bytes_read=self.bytes_stored,
            seconds=time.monotonic() - self.began,
        )


def export(
    sources: Sources,
    output: str | os.PathLike[str],
    options: ExportOptions | None = None,
    *,
    watch: Watch | None = None,
) -> ExportReport:
    """Export the traces of some sources to a file or a dataset repository.

    Args:
        sources: Files, directories, globs or `-` for standard input: one or an iterable.
        output: A file whose name ends in `.jsonl`, `.jsonl.gz`, `.jsonl.zst` or `.parquet`; `-` for JSON lines on
            standard output; or a directory, which becomes a dataset repository. What is there is replaced when the
            export is complete (a directory only with the option `overwrite`), and left alone if it fails.
        options: What to export.
        watch: Is told of the progress.

    Raises:
        InputError: A source or a record cannot be used.
        NothingToExportError: No trace is left to write; no file is made or touched.
        OutputError: The output could not be written.
        OptionError: The output has no ending that is known.
        WorkerError: A process was ended from outside.
    """
    options = options or ExportOptions()
    output = os.fspath(output)
    sources = listed(sources)
    found = find_sources(sources)
    into_directory = check_output(output, [source.path for source in found], overwrite=options.overwrite)
    account = _Account([(source.path, size_of(source.path)) for source in found], watch)
    plan = Plan(options.file_type.value, options.max_shard_bytes, options.overwrite) if into_directory else None
    with open_output(output, plan) as opened:
        job = Job(tuple(os.fspath(source) for source in sources), options, output, into_directory, opened.parts)
        tasks = [PartTask(number, part) for number, part in enumerate(parts_of(found))]
        with crew(job, min(_processes(account, options), len(tasks))) as workers:
            if options.format is TrainingFormat.DPO:
                rendered = _pairs(workers, tasks, options, account)
            else:
                rendered = workers.map("render_part", tasks, account.told)
            for part in rendered:
                _take(part, opened, account)
            refuse_if_all(account.passed_over, found)
            account.tally.refuse_nothing(options.quality_threshold)
            if isinstance(opened.writer, DatasetWriter):
                _describe(workers, opened.writer, account.report(output), account)
    return account.report(output)


def _processes(account: _Account, options: ExportOptions) -> int:
    if account.piped:
        return 1
    return 1 if account.bytes_stored < _LEAST_FOR_PROCESSES else options.workers or processors()


def _pairs(
    workers: Crew, tasks: Sequence[PartTask], options: ExportOptions, account: _Account
) -> Iterator[RenderedPart]:
    """Skim all traces, choose among them and have the chosen ones rendered.

    Raises:
        BadRecordError: The first record of the sources that is no trace, if one was met.
    """
    with own_handler_kept():
        from polars_export.pipeline.choice import choose  # noqa: PLC0415 - Polars is loaded while the others load it too

    skimmed: list[Any] = []  # frames: see `SkimmedPart`
    stored: dict[int, Stored] = {}
    met = 0
    try:
        for part in workers.map("skim_part", tasks, account.told):
            skimmed.append(part.traces)
            stored |= part.stored
            account.add(part)
            met += 1
        if account.tally.missing:
            return
        chosen = choose(skimmed, stored, options, account.tally)
        yield from workers.map("render_chosen", chosen, account.told)
    except BadRecordError as error:
        # The outlines of all traces come before the contents of the chosen ones. What is reported is the first bad
        # record of the sources all the same.
        for _ in workers.map("check_part", tasks[: met + 1], account.told):
            pass
        raise error from None


def _take(part: RenderedPart, opened: Output, account: _Account) -> None:
    opened.writer.add(part.path, part.blocks)
    account.add(part)
    account.seen.add(part.seen)


def _describe(workers: Crew, dataset: DatasetWriter, report: ExportReport, account: _Account) -> None:
    sources = [(path, None if is_piped(path) else size) for path, size in account.sources]
    facts = Description(sources, dataset.finish(), report, account.seen)
    for texts in workers.map("describe", [facts], account.told):
        for name, text in texts.items():
            dataset.add_file(name, text)
