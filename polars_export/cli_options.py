"""The options of the command line, in the groups that commands take them in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from polars_export.choices import Arguments, Completion, FileType, MissingPrompt, OnError, Reasoning, SplitBy
from polars_export.inputs.registry import input_names
from polars_export.options import DEFAULT_FILE_TYPE, DEFAULT_SHARD_SIZE
from polars_export.targets import DEFAULT_TARGET, format_names, targets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from enum import StrEnum

__all__ = ["INPUT", "OUTPUT", "RECORDS", "RUN", "SELECTION", "SHOW", "TABLES_INPUT", "TABLES_OUTPUT", "add_options"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def add_options(*groups: Sequence[Callable[[_Command], _Command]]) -> Callable[[_Command], _Command]:
    """Return a decorator that gives a command the options of some groups, in order."""

    def decorate(command: _Command) -> _Command:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return decorate


def _choice(enum: type[StrEnum]) -> click.Choice[str]:
    return click.Choice([member.value for member in enum])


def _formats_help() -> str:
    """Say what a record of each format is, formats of the same kind together."""
    names: dict[str, list[str]] = {}
    for name in format_names():
        summary = next(target.format(name).summary for target in targets().values() if name in target.offered)
        names.setdefault(summary, []).append(name)
    return "; ".join(f"{', '.join(same)}: {summary}" for summary, same in names.items()) + "."


def _targets_help() -> str:
    offered = (f"{name} ({', '.join(target.offered)})" for name, target in targets().items())
    return f"Trainer to write for, and its formats: {'; '.join(offered)}."


def _threshold_default() -> str:
    limits = (
        f"{each.quality_threshold} for {each}" for each in targets().values() if each.quality_threshold is not None
    )
    return f"{', '.join(limits)}, none for the others"


RECORDS = (
    click.option("--format", type=click.Choice(format_names()), required=True, help=_formats_help()),
    click.option(
        "--target", type=click.Choice(list(targets())), default=DEFAULT_TARGET, show_default=True, help=_targets_help()
    ),
    click.option("--no-metadata", is_flag=True, help="Leave out the case, run, score and model of a record."),
    click.option(
        "--reasoning", type=_choice(Reasoning), default="field", show_default=True, help="Where thinking blocks go."
    ),
    click.option(
        "--arguments",
        type=_choice(Arguments),
        default="object",
        show_default=True,
        help="How tool-call arguments are written for trl.",
    ),
    click.option(
        "--completion",
        type=_choice(Completion),
        default="all",
        show_default=True,
        help="How much of each side of a pair is its completion: all that follows the prompt, or the first message.",
    ),
)

SELECTION = (
    click.option(
        "--quality-threshold",
        type=float,
        metavar="X",
        help=f"Minimum score of a trace.  [default: {_threshold_default()}]",
    ),
    click.option(
        "--min-margin",
        type=float,
        default=0.0,
        metavar="X",
        help="Minimum chosen − rejected score of a pair.",  # noqa: RUF001
    ),
    click.option(
        "--label-threshold",
        type=float,
        metavar="X",
        help="Minimum score of a completion that is labelled true, instead of the verdict.",
    ),
)


def _on_error(skipped: str) -> Callable[[_Command], _Command]:
    """Return the option that says how invalid records are handled; `skipped` says what becomes of those skipped."""
    return click.option(
        "--on-error",
        type=_choice(OnError),
        default="fail",
        show_default=True,
        help=f"How to handle invalid records: fail stops the command; skip {skipped}.",
    )


_PROMPTS_AND_TOOLS = (
    click.option(
        "--input",
        metavar="NAME",
        help=f"Kind of the sources, instead of recognising it: {', '.join(input_names())}.",
    ),
    click.option(
        "--map",
        multiple=True,
        metavar="KEY=PATH",
        help="Which field of a row is what, such as messages=trajectory, or a TOML file; may be given several times.",
    ),
    click.option(
        "--prompts",
        multiple=True,
        metavar="PATH",
        help="Eval sets with the prompts of the cases; may be given several times.",
    ),
    click.option("--tools", metavar="FILE", help="Function schemas of the tools that the agent could call."),
)

_MAX_RECORD_SIZE = click.option(
    "--max-record-size",
    "max_record_bytes",
    default="256MB",
    show_default=True,
    metavar="SIZE",
    help="Maximum size of a record; a larger one is invalid.",
)

INPUT = (
    *_PROMPTS_AND_TOOLS,
    click.option(
        "--missing-prompt",
        type=_choice(MissingPrompt),
        default="error",
        show_default=True,
        help="How to handle traces without a user's message.",
    ),
    _on_error("counts them and writes them to rejects.jsonl beside the output"),
    _MAX_RECORD_SIZE,
)

SHOW = (
    click.option(
        "--limit",
        type=click.IntRange(min=1),
        default=10,
        show_default=True,
        metavar="N",
        help="Number of conversations to show.",
    ),
    click.option("--full", is_flag=True, help="Show long texts whole, such as results of tools."),
    *_PROMPTS_AND_TOOLS,
    _on_error("counts them"),
    _MAX_RECORD_SIZE,
)

OUTPUT = (
    click.option(
        "--output",
        required=True,
        metavar="OUT",
        help="A .jsonl, .jsonl.gz, .jsonl.zst or .parquet file; - for standard output; or a directory, which becomes a "
        "dataset repository.",
    ),
    click.option(
        "--test-fraction", type=float, metavar="X", help="Share of the cases for the split test.  [default: 0.0]"
    ),
    click.option("--seed", type=int, metavar="N", help="Seed of the train/test split.  [default: 0]"),
    click.option(
        "--split-by",
        type=_choice(SplitBy),
        help="What stays on one side of the split: the runs of a case, or all traces with the same prompt."
        "  [default: case]",
    ),
    click.option(
        "--max-shard-size",
        "max_shard_bytes",
        metavar="SIZE",
        help=f"Maximum size of a shard of a directory, as its records in memory.  [default: {DEFAULT_SHARD_SIZE}]",
    ),
    click.option(
        "--file-type",
        type=_choice(FileType),
        help=f"Shard file format of a directory.  [default: {DEFAULT_FILE_TYPE}]",
    ),
    click.option("--overwrite", is_flag=True, help="Replace a directory that is not empty."),
)

RUN = (
    click.option(
        "--workers", type=click.IntRange(min=1), metavar="N", help="Number of processes.  [default: one on every core]"
    ),
    click.option("--resume", is_flag=True, help="Resume an interrupted export into the same output."),
    click.option("--quiet", is_flag=True, help="No progress and no closing table; errors are still shown."),
)


def _without(group: Sequence[Callable[[_Command], _Command]], *names: str) -> list[Callable[[_Command], _Command]]:
    """Return the options of a group but for some, by their names in Python."""
    return [option for option in group if _name(option) not in names]


def _name(option: Callable[[Any], Any]) -> str:
    parameters: list[click.Parameter] = option(lambda: None).__click_params__
    return parameters[0].name or ""


TABLES_INPUT = _without(INPUT, "missing_prompt")
TABLES_OUTPUT = (
    click.option("--output", required=True, metavar="OUT", help="A directory, which becomes a repository of tables."),
    *_without(OUTPUT, "output", "test_fraction", "seed", "split_by", "file_type"),
)
