"""The options of one export, validated once."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Self

from polars_export.choices import (
    Arguments,
    Completion,
    FileType,
    MissingPrompt,
    OnError,
    Reasoning,
    SplitBy,
    TrainingFormat,
)
from polars_export.errors import FormatNotImplementedError, OptionError
from polars_export.input_options import PARSERS as INPUT_PARSERS
from polars_export.input_options import InputOptions
from polars_export.option_values import (
    byte_size,
    expected_one_of,
    flag,
    member_of,
    number,
    optional,
    whole_number,
)
from polars_export.targets import DEFAULT_TARGET, Target, Unit, format_names, options_naming_formats, targets

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from polars_export.mapping import MappingSource, RowMapping
    from polars_export.option_values import Parse
    from polars_export.selection.rule import Rule
    from polars_export.targets import Format

__all__ = ["DEFAULT_FILE_TYPE", "DEFAULT_SHARD_SIZE", "ExportOptions", "RepositoryOptions"]

DEFAULT_SHARD_SIZE = "500MB"
DEFAULT_FILE_TYPE = FileType.PARQUET


@dataclass(frozen=True, slots=True)
class RepositoryOptions:
    """The options of a dataset repository, each with its default where none was given.

    Attributes:
        test_fraction: Share of the cases that become the split `test`.
        seed: Seed of the train/test split.
        split_by: What stays together when the dataset is split.
        max_shard_bytes: Maximum size of a shard, in bytes of its records in memory.
        file_type: Shard file format.
    """

    test_fraction: float
    seed: int
    split_by: SplitBy
    max_shard_bytes: int
    file_type: FileType


@dataclass(frozen=True, slots=True, init=False)
class ExportOptions:
    """The options of one export.

    Attributes:
        format: The record format: a `TrainingFormat`, or the name of another format of a target of your own.
        target: Trainer to write for, by its name or as a `Target`. It equals its name.
        quality_threshold: Minimum score of a trace, None for no threshold; by default what the target says: 0.0 for
            `reference`, none for the others.
        include_metadata: Whether a record has the case, run, score and model.
        prompts: Eval sets with the system prompts and user messages of the cases: files, directories, globs.
        tools: File with the function schemas of the tools that the agent could call.
        input: The kind of input that the sources are; None to recognise each.
        map: Which field of a row is what, of sources that are message rows: as in a TOML file, the path of one, texts
            `KEY=PATH`, or a function that makes a row with `messages` of a row.
        missing_prompt: How to handle traces without a user's message.
        reasoning: Where thinking blocks go; openai always drops them, llamafactory always writes `think`.
        arguments: How tool-call arguments are written for trl.
        completion: How much of each side of a pair is its completion.
        min_margin: Minimum chosen - rejected score of a pair.
        label_threshold: Minimum score of a trace that is labelled true, instead of the verdict `pass`.
        rules: Rules of selection of your own, applied between the threshold and the making of pairs.
        test_fraction: Share of the cases that become the split `test` of a dataset repository; None for 0.0.
        seed: Seed of the train/test split; None for 0.
        split_by: What stays together when the dataset is split; None for `case`.
        max_shard_bytes: Maximum size of a shard, in bytes of its records in memory; `500MB` is accepted, and the
            default.
        file_type: Shard file format; None for `parquet`.
        on_error: How to handle invalid records.
        max_record_bytes: Maximum size of a record that is read, in bytes of its JSON; `256MB` is accepted.
        overwrite: Whether to replace a directory that is not empty.
        resume: Whether to resume an interrupted export into the same output.
        workers: Number of processes for a large export, 0 for one on every processor. It changes no byte.

    Raises:
        OptionError: A value cannot be used, or belongs to another format or target.
        FormatNotImplementedError: The target has no record of this format.
    """

    format: TrainingFormat | str
    target: Target
    quality_threshold: float | None
    include_metadata: bool
    prompts: tuple[str, ...]
    tools: str | None
    input: str | None
    map: RowMapping | None
    missing_prompt: MissingPrompt
    reasoning: Reasoning
    arguments: Arguments
    completion: Completion
    min_margin: float
    label_threshold: float | None
    rules: tuple[Rule, ...]
    test_fraction: float | None
    seed: int | None
    split_by: SplitBy | None
    max_shard_bytes: int | None
    file_type: FileType | None
    on_error: OnError
    max_record_bytes: int
    overwrite: bool
    resume: bool
    workers: int

    def __init__(  # noqa: PLR0913 - one parameter per option
        self,
        format: TrainingFormat | str = TrainingFormat.CHATML,  # noqa: A002 - the reference's name for it
        *,
        target: Target | str = DEFAULT_TARGET,
        quality_threshold: float | None = None,
        include_metadata: bool = True,
        prompts: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        tools: str | os.PathLike[str] | None = None,
        input: str | None = None,  # noqa: A002 - named as on the command line
        map: MappingSource | None = None,  # noqa: A002 - as above
        missing_prompt: MissingPrompt | str = MissingPrompt.ERROR,
        reasoning: Reasoning | str = Reasoning.FIELD,
        arguments: Arguments | str = Arguments.OBJECT,
        completion: Completion | str = Completion.ALL,
        min_margin: float = 0.0,
        label_threshold: float | None = None,
        rules: Iterable[Rule] = (),
        test_fraction: float | None = None,
        seed: int | None = None,
        split_by: SplitBy | str | None = None,
        max_shard_bytes: int | str | None = None,
        file_type: FileType | str | None = None,
        on_error: OnError | str = OnError.FAIL,
        max_record_bytes: int | str = "256MB",
        overwrite: bool = False,
        resume: bool = False,
        workers: int = 0,
    ) -> None:
        given = dict(locals())
        set_once = object.__setattr__  # the dataclass is frozen
        for name, parse in _PARSERS.items():
            set_once(self, name, parse(name, given[name]))
        set_once(self, "target", _target(target))
        set_once(self, "format", _format(format, self.target))
        if quality_threshold is None:
            set_once(self, "quality_threshold", self.target.quality_threshold)
        self._check_ranges()
        self._check_together()

    @classmethod
    def chatml_sft(cls, quality_threshold: float) -> Self:
        """Options for one ChatML conversation per qualifying trace."""
        return cls(TrainingFormat.CHATML, quality_threshold=quality_threshold)

    @classmethod
    def dpo_pairs(cls, quality_threshold: float) -> Self:
        """Options for the best and the worst qualifying trace of every case."""
        return cls(TrainingFormat.DPO, quality_threshold=quality_threshold)

    @classmethod
    def sharegpt(cls) -> Self:
        """Options for one ShareGPT conversation per trace that scores at least 0.0."""
        return cls(TrainingFormat.SHAREGPT)

    @property
    def target_format(self) -> Format:
        """What the target says of the format."""
        return self.target.format(self.format)

    @property
    def unit(self) -> Unit:
        """What a record is made of."""
        return self.target_format.unit

    @property
    def looks_across(self) -> bool:
        """Whether it depends on other traces what becomes of a trace."""
        return self.unit is not Unit.TRACE or self.splits_by_prompt or any(rule.scope > 0 for rule in self.rules)

    @property
    def written_reasoning(self) -> Reasoning:
        """Where reasoning goes: as asked for, if the target can."""
        ways = self.target.reasoning
        return self.reasoning if self.reasoning in ways else ways[0]

    @property
    def writes_weights(self) -> bool:
        """Whether messages that are not to be learned from are marked.

        Parquet would have a column for the marks always. In pairs such messages belong to the prompt.
        """
        return self.target.weights and self.unit is Unit.TRACE and self.repository.file_type is FileType.JSONL

    @property
    def splits_by_prompt(self) -> bool:
        """Whether a dataset is split so that traces with one prompt stay together."""
        return bool(self.test_fraction) and self.repository.split_by is SplitBy.PROMPT

    @property
    def input_options(self) -> InputOptions:
        """Those of them that say how the sources are read."""
        return InputOptions(**{name: getattr(self, name) for name in INPUT_PARSERS})

    def with_input(self, given: InputOptions | None) -> Self:
        """Return the options with these in place of what they say of the sources.

        Raises:
            OptionError: They are no input options, or do not go with the target.
        """
        return self if given is None else replace(self, **InputOptions.or_default(given).as_fields())

    @property
    def skips(self) -> bool:
        """Whether invalid records are skipped."""
        return self.on_error is OnError.SKIP

    @property
    def repository(self) -> RepositoryOptions:
        """The options of a dataset repository, with their defaults."""
        default_size = byte_size("max_shard_bytes", DEFAULT_SHARD_SIZE)
        return RepositoryOptions(
            test_fraction=self.test_fraction or 0.0,
            seed=self.seed or 0,
            split_by=self.split_by or SplitBy.CASE,
            max_shard_bytes=self.max_shard_bytes or default_size,
            file_type=self.file_type or DEFAULT_FILE_TYPE,
        )

    @classmethod
    def or_default(cls, options: Self | None) -> Self:
        """Return options, or the default ones for None.

        Raises:
            OptionError: They are something else.
        """
        if options is None:
            return cls()
        if not isinstance(options, cls):
            raise OptionError("options", f"expected {cls.__name__}, found {options!r}")
        return options

    def as_dict(self) -> dict[str, object]:
        """Return the options that decide on the output as JSON values, by name."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in _OF_THE_RUN}
        rules = {"rules": [repr(rule) for rule in self.rules]} if self.rules else {}
        mapping = {"map": asdict(self.map)} if self.map else {}
        return values | asdict(self.repository) | {"target": self.target.name} | rules | mapping

    def check_file_output(self, *, is_file: bool) -> None:
        """Refuse options that an output ignores which is no dataset repository.

        Args:
            is_file: Whether the output is a file; else it is a stream.

        Raises:
            OptionError: One of them was given.
        """
        if self.resume and not is_file:
            raise OptionError("resume", "a stream cannot be resumed: name a file or a directory as --output")
        for item in fields(RepositoryOptions):
            if getattr(self, item.name) is not None:
                raise OptionError(item.name, "is for a dataset repository: name a directory as --output")

    def _check_ranges(self) -> None:
        """Refuse numbers that make no sense."""
        if self.test_fraction is not None and not 0 <= self.test_fraction < 1:
            raise OptionError("test_fraction", f"expected a number from 0 up to 1, found {self.test_fraction}")
        if self.workers < 0:
            raise OptionError("workers", f"expected a number of processes, found {self.workers}")
        if self.min_margin < 0:
            raise OptionError("min_margin", f"expected a number from 0 on, found {self.min_margin}")

    def _check_together(self) -> None:
        """Refuse what the format or target would silently ignore."""
        target = self.target
        if self.format not in target.offered:
            raise FormatNotImplementedError(self.format, target.name, target.offered)
        if not target.joins_prompts and (self.prompts or self.tools):
            option = "prompts" if self.prompts else "tools"
            others = _names(lambda each: each.joins_prompts)
            raise OptionError(
                option, f"the records of target {target} hold neither prompts nor tools; choose --target {others}"
            )
        if self.min_margin and not _takes_margin(target, self.target_format):
            raise OptionError("min_margin", f"is for {options_naming_formats(_takes_margin)}")
        if self.label_threshold is not None and not self.target_format.labelled:
            raise OptionError("label_threshold", f"is for {options_naming_formats(lambda _, each: each.labelled)}")
        if self.completion is Completion.FIRST and not self.target_format.shared_prompt:
            takers = options_naming_formats(lambda _, each: each.shared_prompt)
            raise OptionError("completion", f"first is for {takers}")
        if self.arguments is Arguments.STRING and len(target.arguments) == 1:
            others = _names(lambda each: len(each.arguments) > 1)
            raise OptionError("arguments", f"is for --target {others}; the records of {target} fix it")
        if self.split_by and not self.test_fraction:
            raise OptionError("split_by", "splits nothing without --test-fraction")
        if self.split_by is SplitBy.PROMPT and not target.joins_prompts:
            raise OptionError("split_by", f"prompt: the records of target {target} hold no prompts; leave it out")


_OF_THE_RUN = ("resume", "workers", "rules")  # the first two change no byte, and rules are described


def _rules(option: str, value: object) -> tuple[object, ...]:
    rules = tuple(value) if isinstance(value, Iterable) else (None,)
    if not all(hasattr(rule, "select") for rule in rules):
        raise OptionError(option, f"expected rules, found {value!r}")
    return rules


_PARSERS: dict[str, Parse] = {
    "quality_threshold": optional(number),
    "include_metadata": flag,
    **INPUT_PARSERS,
    "missing_prompt": member_of(MissingPrompt),
    "reasoning": member_of(Reasoning),
    "arguments": member_of(Arguments),
    "completion": member_of(Completion),
    "min_margin": number,
    "label_threshold": optional(number),
    "rules": _rules,
    "test_fraction": optional(number),
    "seed": optional(whole_number),
    "split_by": optional(member_of(SplitBy)),
    "max_shard_bytes": optional(byte_size),
    "file_type": optional(member_of(FileType)),
    "overwrite": flag,
    "resume": flag,
}


def _takes_margin(target: Target, target_format: Format) -> bool:
    return target.pairs_need_margin and target_format.unit is Unit.PAIR


def _names(holds: Callable[[Target], bool]) -> str:
    """Return the names of the targets for which something holds."""
    return " or ".join(name for name, target in targets().items() if holds(target))


def _target(value: object) -> Target:
    if isinstance(value, Target):
        return value
    if not isinstance(value, str) or value not in targets():
        raise OptionError("target", expected_one_of(list(targets()), value))
    return targets()[value]


def _format(value: str, target: Target) -> TrainingFormat | str:
    """Return a member of `TrainingFormat`, or the name of another format that the target offers."""
    with suppress(ValueError):
        return TrainingFormat(value)
    if value in target.offered:
        return value
    raise OptionError("format", expected_one_of(format_names(), value))
