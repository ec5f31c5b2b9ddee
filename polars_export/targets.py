"""Targets describe themselves: what their records can carry, and which record formats they offer.

Every package in `formats/` is a target and holds its description as `TARGET`. Descriptions load neither Polars nor
pyarrow: the command line and the conductor of an export ask for them.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import import_module
from typing import TypeAlias, cast

from polars_export.choices import Arguments, Reasoning, TrainingFormat
from polars_export.tables.projection import Projection

__all__ = ["DEFAULT_TARGET", "Format", "Target", "Unit", "format_names", "options_naming_formats", "targets"]

DEFAULT_TARGET = "reference"

_FORMATS_PACKAGE = "polars_export.formats"


class Unit(StrEnum):
    """What one record is made of."""

    TRACE = "trace"
    PAIR = "pair"


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A record format of a target.

    Attributes:
        name: Its name, for the option `--format`.
        module: The module that renders it; see `polars_export.formats.RecordFormat`.
        summary: What a record is, in a few words.
        keys: The keys of a record, in order, with metadata where the target has it.
        unit: What a record is made of.
        labelled: Whether a record says if its trace is a good one.
        shared_prompt: Whether a pair is written as one prompt and two completions of it.
        projection: The columns of the tables that its records are made of.
        ignores: Content that its records have no place for, by the kinds of `polars_export.formats.dropped_content`.
    """

    name: str
    module: str
    summary: str
    keys: tuple[str, ...]
    unit: Unit = Unit.TRACE
    labelled: bool = False
    shared_prompt: bool = False
    projection: Projection = Projection.CONVERSATIONS
    ignores: tuple[str, ...] = ()


UsageGuide: TypeAlias = Callable[[str, str, str], Sequence[str]]
"""Takes the name of a format, the dataset's folder and a split; returns paragraphs of Markdown for the dataset card."""

DatasetFiles: TypeAlias = Callable[[str, Sequence[str]], Mapping[str, str]]
"""Takes the name of a format and the splits; returns the texts of files to write beside the data, by file name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Target:
    """What the records of a target can carry. A target equals its name.

    Attributes:
        name: Its name, for the option `--target`.
        formats: The record formats that it offers.
        also_for: Other trainers that take the same records.
        reasoning: Where reasoning can go; the first one is taken if the option names none of them.
        arguments: How tool-call arguments are written; with two ways the option chooses.
        text_beside_calls: Whether a message can hold both a text and tool calls.
        empty_content: Whether a message of tool calls without a text has an empty text, rather than none.
        tool_call_ids: Whether calls and results have ids.
        tool_names: Whether a message says a name: of the tool, or of the user who speaks.
        whole_sides: Whether a side of a pair can be several messages, rather than one of the assistant.
        weights: Whether a message of the assistant, in JSON, can say that it is not to be learned from.
        metadata: Whether a record says which trace it comes from.
        joins_prompts: Whether records hold prompts and tools of eval sets.
        inputs: The kinds of input that its records are defined for; empty for all.
        quality_threshold: The quality threshold where none is given; None for no threshold.
        single_precision: Whether the quality threshold is rounded to single precision.
        sorted_arguments: Whether the keys of arguments are sorted.
        pairs_need_margin: Whether the chosen trace of a pair must have a higher score than the rejected one.
        usage: Tells in the dataset card how to train with the data.
        dataset_files: Makes further files of a dataset repository.
    """

    name: str
    formats: tuple[Format, ...]
    also_for: tuple[str, ...] = ()
    reasoning: tuple[Reasoning, ...] = (Reasoning.FIELD, Reasoning.THINK, Reasoning.DROP)
    arguments: tuple[Arguments, ...] = (Arguments.OBJECT,)
    text_beside_calls: bool = True
    empty_content: bool = True
    tool_call_ids: bool = True
    tool_names: bool = True
    whole_sides: bool = True
    weights: bool = False
    metadata: bool = True
    joins_prompts: bool = True
    inputs: tuple[str, ...] = ()
    quality_threshold: float | None = None
    single_precision: bool = False
    sorted_arguments: bool = False
    pairs_need_margin: bool = True
    usage: UsageGuide | None = None
    dataset_files: DatasetFiles | None = None

    def __str__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return self.name == other
        return self.name == other.name if isinstance(other, Target) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def offered(self) -> tuple[str, ...]:
        """The names of the record formats that it offers."""
        return tuple(offered.name for offered in self.formats)

    def format(self, name: str) -> Format:
        """Return the record format of a name.

        Raises:
            KeyError: The target has none of that name.
        """
        for offered in self.formats:
            if offered.name == name:
                return offered
        raise KeyError(name)


@cache
def targets() -> dict[str, Target]:
    """Return the targets by their names, the default one first."""
    folder = import_module(_FORMATS_PACKAGE)
    packages = [found.name for found in pkgutil.iter_modules(folder.__path__) if found.ispkg]
    found = [cast("Target", import_module(f"{_FORMATS_PACKAGE}.{package}").TARGET) for package in packages]
    return {target.name: target for target in sorted(found, key=lambda each: (each.name != DEFAULT_TARGET, each.name))}


def format_names() -> list[str]:
    """Return the names of all record formats that a target offers, the well-known ones first."""
    known = list(TrainingFormat)
    offered = {name for target in targets().values() for name in target.offered}
    return sorted(offered, key=lambda name: (known.index(TrainingFormat(name)) if name in known else len(known), name))


def options_naming_formats(holds: Callable[[Target, Format], bool]) -> str:
    """Return the options that name the formats for which something holds, and their targets; empty where none does."""
    offering: dict[str, list[str]] = {}
    for name, target in targets().items():
        for offered in target.formats:
            if holds(target, offered):
                offering.setdefault(offered.name, []).append(name)
    return ", or ".join(f"--format {name} with --target {' or '.join(those)}" for name, those in offering.items())
