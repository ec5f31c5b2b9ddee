"""The command line: arguments to options, errors to exit statuses, progress and the closing table to the terminal."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import click

from polars_export import __version__
from polars_export.cli_options import (
    INPUT,
    OUTPUT,
    RECORDS,
    RUN,
    SELECTION,
    SHOW,
    TABLES_INPUT,
    TABLES_OUTPUT,
    add_options,
)
from polars_export.errors import ExportError
from polars_export.input_options import InputOptions
from polars_export.options import ExportOptions
from polars_export.process import STOP_SIGNALS, end, preserve_sigint, without_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from polars_export.execution.run_state import ExportProgress
    from polars_export.report import ExportReport

__all__ = ["main", "run"]

_USAGE = 2
_INTERRUPTED = 130

_EPILOG = """\b
Exit status: 0 done; 2 wrong usage; 3 nothing to export; 4 bad input;
5 output could not be written; 130 interrupted."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.version_option(__version__, prog_name="polars-export")
def cli() -> None:
    """Turn recorded agent traces into fine-tuning datasets."""


@cli.command("export", epilog=_EPILOG)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@add_options(RECORDS, OUTPUT, INPUT, SELECTION, RUN)
def export_command(
    *,
    sources: tuple[str, ...],
    output: str,
    no_metadata: bool,
    quiet: bool,
    workers: int | None,
    **options: Any,  # noqa: ANN401 - those of `ExportOptions`
) -> None:
    """Export the traces of eval results.

    SOURCE is a file, a directory (searched for .json, .jsonl and .ndjson, also with .gz or .zst), a directory with
    stored tables, a glob, or - for standard input. What a file holds is recognised by its content.
    """
    export_options = ExportOptions(**options, include_metadata=not no_metadata, workers=workers or 0)
    from polars_export.execution.conductor import export  # noqa: PLC0415 - loads msgspec, which --help should not wait for

    _run_shown(lambda on_progress: export(sources, output, export_options, on_progress=on_progress), quiet=quiet)


@cli.command("tables", epilog=_EPILOG)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@add_options(TABLES_OUTPUT, TABLES_INPUT, RUN)
def tables_command(  # noqa: PLR0913 - one parameter per option
    *,
    sources: tuple[str, ...],
    output: str,
    quiet: bool,
    workers: int | None,
    max_shard_bytes: str | None,
    overwrite: bool,
    resume: bool,
    **options: Any,  # noqa: ANN401 - those of `InputOptions`
) -> None:
    """Store traces as two tables in Parquet, to query and to export them again without reading JSON.

    SOURCE is what export takes. The tables are a source of export in turn. Into its own earlier output the command
    adds: sources that have not changed are not read again.
    """
    from polars_export.execution.write_tables import write_tables  # noqa: PLC0415 - as above

    def store(on_progress: ExportProgress | None) -> ExportReport:
        return write_tables(
            sources,
            output,
            InputOptions(**options, workers=workers or 0),
            max_shard_bytes=max_shard_bytes,
            overwrite=overwrite,
            resume=resume,
            on_progress=on_progress,
        )

    _run_shown(store, quiet=quiet)


def _run_shown(run_export: Callable[[ExportProgress | None], ExportReport], *, quiet: bool) -> None:
    """Run an export; to a terminal, show its progress and its account."""
    if quiet or not sys.stderr or not sys.stderr.isatty():
        run_export(None)
        _ignore_interrupts()
        return
    from polars_export.terminal import progress, summary  # noqa: PLC0415 - loads rich, as above

    with progress() as on_progress:
        report = run_export(on_progress)
        _ignore_interrupts()  # to stop now would undo nothing
    summary(report)


@cli.command("show", epilog=_EPILOG)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@add_options(SHOW)
def show_command(
    *,
    sources: tuple[str, ...],
    limit: int,
    full: bool,
    **options: Any,  # noqa: ANN401 - those of `InputOptions`
) -> None:
    """Show conversations as a person reads them.

    SOURCE is what export reads, or what it wrote: a dataset directory, or a .jsonl or .parquet file of records.
    """
    try:
        with preserve_sigint():
            from polars_export.show.command import ShowOptions, show  # noqa: PLC0415 - loads Polars, as above

        show(sources, ShowOptions(InputOptions(**options), limit=limit, full=full))
    except _Interrupted:
        raise _Interrupted("interrupted") from None


def run() -> NoReturn:
    """Run the command line as the whole of a process, and end the process."""
    without_numpy()
    _catch_interrupts()
    end(_status_of(None))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line within a process, and return its exit status."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    _catch_interrupts()
    try:
        return _status_of(arguments)
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _status_of(arguments: Sequence[str] | None) -> int:
    try:
        status = cli.main(args=arguments, prog_name="polars-export", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return _USAGE
    except click.ClickException as error:
        return _print_error(" ".join(error.format_message().split()), _USAGE)
    except _Interrupted as error:
        return _print_error(str(error) or "interrupted; the previous output is unchanged", _INTERRUPTED)
    except ExportError as error:
        return _print_error(str(error), error.exit_status)
    return status if isinstance(status, int) else 0


def _print_error(message: str, status: int) -> int:
    """Print an error as one line, whatever its names and texts hold."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(message.split("\n")))
    with suppress(OSError):  # standard error is full: the exit status says it
        click.echo(f"polars-export: {line}", err=True)
    return status


class _Interrupted(BaseException):
    """The user, or the system, wants the command to stop."""


def _catch_interrupts() -> None:
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as it is in a shell's background, or under nohup
            signal.signal(number, _interrupt)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    _ignore_interrupts()  # one is enough: the next would interrupt the clearing up
    raise _Interrupted


def _ignore_interrupts() -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
