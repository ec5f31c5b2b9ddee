"""Conduct an export: cut the sources into parts, have them worked on, and put what comes back into the output.

Nothing here needs Polars or pyarrow before a pair is chosen: while this process hands out work, the others load them.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from polars_export.errors import InputError, SourceError
from polars_export.options import ExportOptions, Target, TrainingFormat
from polars_export.pipeline.account import Account
from polars_export.pipeline.crew import crew, own_handler_kept, processors
from polars_export.pipeline.job import Description, Job, PartTask
from polars_export.pipeline.journal import key_of_job
from polars_export.pipeline.taking import Taking
from polars_export.sources import find_sources, listed, parts_of, refuse_if_all, size_of
from polars_export.sources.find import directories_of, eval_sets, files_of_eval_sets
from polars_export.sources.stream import is_piped
from polars_export.writers import DatasetWriter, Plan, check_output, open_output, rejects_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polars_export.pipeline.account import Watch
    from polars_export.pipeline.crew import Crew
    from polars_export.report import ExportReport
    from polars_export.sources import Source, Sources, Stored

__all__ = ["export", "files_of_sets"]

_LEAST_FOR_PROCESSES = 48 << 20
"""Bytes of the sources from which on other processes are started, which takes as long as exporting some 50 MB."""


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
        OutputError: The output could not be written, or another export is writing to it.
        OptionError: The output has no ending that is known, or is among the sources.
        WorkerError: A process was ended from outside.
    """
    options = options or ExportOptions()
    output = os.fspath(output)
    sources = listed(sources)
    found = find_sources(sources)
    paths = [source.path for source in found]
    sets = files_of_sets(sources, options)
    beside = [*sets, *([options.tools] if options.tools else [])]
    files = [*paths, *beside]
    into_directory = check_output(output, files, directories_of(sources, found), overwrite=options.overwrite)
    rejects = rejects_of(output, files, into_directory=into_directory) if options.skips else None
    account = Account([(path, size_of(path, tolerant=options.skips)) for path in paths], watch, rejects)
    plan = Plan(options.file_type.value, options.max_shard_bytes, options.overwrite) if into_directory else None
    with open_output(output, plan, key_of_job(beside, options), resume=options.resume) as opened:
        job = Job(tuple(sets), options, output, into_directory, opened.parts)
        tasks = [PartTask(number, part) for number, part in enumerate(parts_of(found, tolerant=options.skips))]
        processes = min(_processes(account, beside, options), len(tasks))
        with crew(job, processes) as workers, Taking(output, opened, account) as to:
            if options.format is TrainingFormat.DPO:
                _export_pairs(workers, tasks, options, account, to)
            else:
                to.rendered("render_part", tasks, workers)
            refuse_if_all(account.passed_over, found)
            account.tally.refuse_nothing(options.quality_threshold)
            if isinstance(opened.writer, DatasetWriter):
                _describe(workers, opened.writer, account.report(output), account)
    return account.report(output)


def files_of_sets(sources: Sequence[Source], options: ExportOptions) -> list[str]:
    """Return the files of the eval sets in force; none where the records hold no prompts."""
    return [] if options.target is Target.REFERENCE else files_of_eval_sets(eval_sets(options.prompts, sources))


def _processes(account: Account, beside: Sequence[str], options: ExportOptions) -> int:
    if account.piped or any(map(is_piped, beside)):
        return 1
    return 1 if account.bytes_stored < _LEAST_FOR_PROCESSES else options.workers or processors()


def _export_pairs(
    workers: Crew, tasks: Sequence[PartTask], options: ExportOptions, account: Account, to: Taking
) -> None:
    """Skim all traces, choose among them and have the chosen ones rendered.

    Raises:
        InputError: What cannot be used first of the sources, if something was met.
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
            to.skimmed(part.account)
            met += 1
        if not account.tally.missing:
            to.rendered("render_chosen", choose(skimmed, stored, options, account.tally), workers)
    except InputError as error:
        if options.skips or (account.piped and isinstance(error, SourceError)):
            raise
        # The outlines of all traces come before the contents of the chosen ones. What is reported is the first bad
        # record of the sources all the same.
        with suppress(SourceError):  # said already, or the source is another by now
            deque(workers.map("check_part", tasks[: met + 1], account.told), maxlen=0)
        raise error from None


def _describe(workers: Crew, dataset: DatasetWriter, report: ExportReport, account: Account) -> None:
    sources = [(path, None if is_piped(path) else size) for path, size in account.sources]
    facts = Description(sources, dataset.finish(), report, account.seen)
    for texts in workers.map("describe", [facts], account.told):
        for name, text in texts.items():
            dataset.add_file(name, text)
