"""What a person at a terminal sees, on standard error: progress while an export runs, and its account at the end."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polars_export.execution.run_state import ExportProgress
    from polars_export.report import ExportReport

__all__ = ["progress", "summary"]

_NAMED_FILES = 10
"""How many skipped files are named: a folder may hold thousands of other files. The report in Python names all."""


@contextmanager
def progress() -> Iterator[ExportProgress]:
    """Show bytes and traces read, the rate and the time left; yield what `export` calls with them, `on_progress`."""
    columns = (
        TextColumn("{task.fields[traces]:,} traces"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as display:
        task = display.add_task("export", total=None, traces=0)

        def on_progress(bytes_read: int, bytes_total: int | None, traces: int) -> None:
            display.update(task, completed=bytes_read, total=bytes_total, traces=traces)

        yield on_progress


def summary(report: ExportReport) -> None:
    """Show where every trace went, what the records could not carry, and how fast it was."""
    console = Console(stderr=True, highlight=False)
    table = Table(title=escape(f"{report.records:,} records in {report.output}"), title_justify="left")
    table.add_column("traces")
    table.add_column("count", justify="right")
    table.add_row("exported", f"{report.exported:,}")
    for reason, count in report.dropped.items():
        example = report.example(reason)
        such_as = "" if example is None else f", such as {example}"
        table.add_row(escape(f"dropped: {reason}{such_as}"), f"{count:,}")
    table.add_section()
    table.add_row("read", f"{report.traces_read:,}", style="bold")
    console.print(table)
    if report.dropped_content:
        lost = ", ".join(f"{count:,} {what}" for what, count in report.dropped_content.items())
        console.print(f"not carried by these records: {lost}", markup=False)
    for path, problem in islice(report.skipped_files.items(), _NAMED_FILES):
        console.print(f"skipped {path}: {problem}", markup=False)
    if (more := len(report.skipped_files) - _NAMED_FILES) > 0:
        console.print(f"skipped {more:,} more files without traces")
    if report.rejects:
        console.print(f"bad records are in {report.rejects}", markup=False)
    if report.resumed:
        console.print(f"resumed: {report.resumed:,} traces were written by the interrupted export", markup=False)
    megabytes = report.bytes_read / 1e6
    speed = f"{report.traces_read / report.seconds:,.0f} traces/s, {megabytes / report.seconds:,.1f} MB/s"
    console.print(f"{megabytes:,.1f} MB in {report.seconds:.1f} s ({speed})")
