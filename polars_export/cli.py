"""The command line: arguments to options, errors to exit statuses, progress and the closing table to the terminal."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import click

from polars_export import __version__
from polars_export.choices import Arguments, FileType, MissingPrompt, OnError, Reasoning
from polars_export.errors import ExportError
from polars_export.options import ExportOptions
from polars_export.process import STOP_SIGNALS, end, without_numpy
from polars_export.targets import DEFAULT_TARGET, format_names, targets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from enum import StrEnum
    from types import FrameType

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


def _choice(enum: type[StrEnum]) -> click.Choice[str]:
    return click.Choice([member.value for member in enum])


@cli.command("export", epilog=_EPILOG)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--format",
    type=click.Choice(format_names()),
    required=True,
    help="chatml, sharegpt: a conversation per trace; dpo: the best and the worst run of every case; kto: a labelled "
    "completion per trace; prompt-completion: a completion per trace.",
)
@click.option(
    "--output",
    required=True,
    metavar="OUT",
    help="A .jsonl, .jsonl.gz, .jsonl.zst or .parquet file; - for standard output; or a directory, which becomes a "
    "dataset repository.",
)
@click.option(
    "--target",
    type=click.Choice(list(targets())),
    default=DEFAULT_TARGET,
    show_default=True,
    help="Trainer to write for, with its formats: "
    + "; ".join(f"{name} ({', '.join(target.offered)})" for name, target in targets().items()),
)
@click.option(
    "--quality-threshold", type=float, default=0.0, show_default=True, metavar="X", help="Lowest score that qualifies."
)
@click.option("--no-metadata", is_flag=True, help="Leave out the case, score and model of a record.")
@click.option(
    "--prompts",
    multiple=True,
    metavar="PATH",
    help="Eval sets with the prompts of the cases; may be given several times.",
)
@click.option("--tools", metavar="FILE", help="Function schemas of the tools that the agent could call.")
@click.option(
    "--missing-prompt",
    type=_choice(MissingPrompt),
    default="error",
    show_default=True,
    help="What becomes of a trace without a user's message.",
)
@click.option(
    "--reasoning", type=_choice(Reasoning), default="field", show_default=True, help="Where thinking blocks go."
)
@click.option(
    "--arguments",
    type=_choice(Arguments),
    default="object",
    show_default=True,
    help="How tool-call arguments are written for trl.",
)
@click.option("--min-margin", type=float, default=0.0, metavar="X", help="Least difference in score of a pair.")
@click.option("--label-threshold", type=float, metavar="X", help="Score of a good completion, instead of the verdict.")
@click.option("--test-fraction", type=float, default=0.0, metavar="X", help="Share of the cases for the split test.")
@click.option("--seed", type=int, default=0, metavar="N", help="Decides which cases these are.")
@click.option(
    "--max-shard-size",
    "max_shard_bytes",
    default="500MB",
    show_default=True,
    metavar="SIZE",
    help="Largest shard of a directory, as its records in memory.",
)
@click.option(
    "--file-type",
    type=_choice(FileType),
    default="parquet",
    show_default=True,
    help="What the shards of a directory are.",
)
@click.option(
    "--on-error",
    type=_choice(OnError),
    default="fail",
    show_default=True,
    help="What a bad record does: stop the export, or be left out, counted and written to rejects.jsonl beside the "
    "output.",
)
@click.option(
    "--max-record-size",
    "max_record_bytes",
    default="256MB",
    show_default=True,
    metavar="SIZE",
    help="A larger record is a bad one.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="Number of processes.  [default: one on every core]"
)
@click.option("--overwrite", is_flag=True, help="Replace a directory that is not empty.")
@click.option("--resume", is_flag=True, help="Take up what a killed export into the same output had finished.")
@click.option("--quiet", is_flag=True, help="No progress and no closing table; errors are still shown.")
def export_command(
    *,
    sources: tuple[str, ...],
    output: str,
    no_metadata: bool,
    quiet: bool,
    workers: int | None,
    **options: Any,  # noqa: ANN401 - options
) -> None:
    """Export the traces of eval results.

    SOURCE is a file, a directory (searched for .json, .jsonl and .ndjson, also with .gz or .zst), a glob, or - for
    standard input. What a file holds is recognised by its content.
    """
    export_options = ExportOptions(**options, include_metadata=not no_metadata, workers=workers or 0)
    from polars_export.execution.conductor import export  # noqa: PLC0415 - loads msgspec, which --help should not wait for

    if quiet or not sys.stderr or not sys.stderr.isatty():
        export(sources, output, export_options)
        _ignore_interrupts()
        return
    from polars_export.terminal import progress, summary  # noqa: PLC0415 - loads rich, as above

    with progress() as on_progress:
        report = export(sources, output, export_options, on_progress=on_progress)
        _ignore_interrupts()  # to stop now would undo nothing
    summary(report)


def run() -> NoReturn:
    """Run the command line in a process that is there for nothing else, and end it."""
    without_numpy()
    _catch_interrupts()
    end(_status_of(None))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line in a process that goes on, and return its exit status."""
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
        return _complain(" ".join(error.format_message().split()), _USAGE)
    except _Interrupted:
        return _complain("interrupted; the output is as it was", _INTERRUPTED)
    except ExportError as error:
        return _complain(str(error), error.exit_status)
    return status if isinstance(status, int) else 0


def _complain(message: str, status: int) -> int:
    """Say what is wrong in one line, whatever the names and texts in it hold."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(message.split("\n")))
    with suppress(OSError):  # standard error is full: the status tells
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
