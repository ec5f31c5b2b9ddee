"""The options of one export, validated once."""

from __future__ import annotations

import difflib
import math
import re
from contextlib import suppress
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Self, TypeVar

from polars_export.choices import Arguments, FileType, MissingPrompt, OnError, Reasoning, TrainingFormat
from polars_export.errors import FormatNotImplementedError, OptionError
from polars_export.targets import DEFAULT_TARGET, Target, Unit, format_names, targets

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from polars_export.selection.rule import Rule
    from polars_export.targets import Format

__all__ = ["ExportOptions"]

__all__ = ["ExportOptions"]


@dataclass(frozen=True, slots=True, init=False)
class ExportOptions:
    """The options of one export.

    Attributes:
        format: The shape of a record.
        target: Who reads the records.
        quality_threshold: The lowest score with which a trace qualifies.
        include_metadata: Whether a record says which case, score and model it comes from.
        prompts: Eval sets (files, directories, globs) with the system prompts and user's messages of the cases.
        tools: File with the function schemas of the tools that the agent could call.
        missing_prompt: What becomes of a trace for which no user's message is known.
        reasoning: Where the thinking blocks go; openai always drops them, llamafactory always writes `think`.
        arguments: How tool-call arguments are written for trl.
        min_margin: The least difference in score of a pair.
        label_threshold: The score from which on a KTO label is true, instead of the verdict `pass`.
        test_fraction: Share of the cases that become the split `test` of a dataset repository.
        seed: Decides, with the case alone, on which side a case is.
        max_shard_bytes: Largest shard of a dataset repository, in bytes of its records in memory; `500MB` is accepted.
        file_type: What the shards are.
        on_error: What a record that cannot be used does.
        max_record_bytes: Largest record that is read, in bytes of its JSON; `256MB` is accepted.
        overwrite: Whether a directory that is not empty is replaced.
        resume: Whether what an export into the same output finished before it was killed is taken up.
        workers: Number of processes that a large export takes, 0 for one on every processor. It changes no byte.
        rules: Rules of selection of your own, applied between the threshold and the making of pairs.

    Raises:
        OptionError: A value cannot be used, or belongs to another format or target.
        FormatNotImplementedError: The target has no record of this format.
    """

    format: TrainingFormat | str
    target: Target
    quality_threshold: float
    include_metadata: bool
    prompts: tuple[str, ...]
    tools: str | None
    missing_prompt: MissingPrompt
    reasoning: Reasoning
    arguments: Arguments
    min_margin: float
    label_threshold: float | None
    test_fraction: float
    seed: int
    max_shard_bytes: int
    file_type: FileType
    on_error: OnError
    max_record_bytes: int
    overwrite: bool
    resume: bool
    workers: int
    rules: tuple[Rule, ...]

    def __init__(  # noqa: PLR0913 - one parameter per option
        self,
        format: TrainingFormat | str = TrainingFormat.CHATML,  # noqa: A002 - the reference's name for it
        *,
        target: Target | str = DEFAULT_TARGET,
        quality_threshold: float = 0.0,
        include_metadata: bool = True,
        prompts: str | Iterable[str] = (),
        tools: str | None = None,
        missing_prompt: MissingPrompt | str = MissingPrompt.ERROR,
        reasoning: Reasoning | str = Reasoning.FIELD,
        arguments: Arguments | str = Arguments.OBJECT,
        min_margin: float = 0.0,
        label_threshold: float | None = None,
        test_fraction: float = 0.0,
        seed: int = 0,
        max_shard_bytes: int | str = "500MB",
        file_type: FileType | str = FileType.PARQUET,
        on_error: OnError | str = OnError.FAIL,
        max_record_bytes: int | str = "256MB",
        overwrite: bool = False,
        resume: bool = False,
        workers: int = 0,
        rules: Iterable[Rule] = (),
    ) -> None:
        set_once = object.__setattr__  # the dataclass is frozen
        set_once(self, "target", _target("target", target))
        set_once(self, "format", _format("format", format, self.target))
        set_once(self, "quality_threshold", _finite("quality_threshold", quality_threshold))
        set_once(self, "include_metadata", include_metadata)
        set_once(self, "prompts", (prompts,) if isinstance(prompts, str) else tuple(prompts))
        set_once(self, "tools", tools)
        set_once(self, "missing_prompt", _member(MissingPrompt, "missing_prompt", missing_prompt))
        set_once(self, "reasoning", _member(Reasoning, "reasoning", reasoning))
        set_once(self, "arguments", _member(Arguments, "arguments", arguments))
        set_once(self, "min_margin", _finite("min_margin", min_margin))
        threshold = None if label_threshold is None else _finite("label_threshold", label_threshold)
        set_once(self, "label_threshold", threshold)
        set_once(self, "test_fraction", _finite("test_fraction", test_fraction))
        set_once(self, "seed", seed)
        set_once(self, "max_shard_bytes", _byte_size("max_shard_size", max_shard_bytes))
        set_once(self, "file_type", _member(FileType, "file_type", file_type))
        set_once(self, "on_error", _member(OnError, "on_error", on_error))
        set_once(self, "max_record_bytes", _byte_size("max_record_size", max_record_bytes))
        set_once(self, "overwrite", overwrite)
        set_once(self, "resume", resume)
        set_once(self, "workers", workers)
        set_once(self, "rules", tuple(rules))
        self._check_together()

    def as_dict(self) -> dict[str, object]:
        """Return the options that decide on the output as JSON values, by name."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in _OF_THE_RUN}
        rules = {"rules": [repr(rule) for rule in self.rules]} if self.rules else {}
        return values | {"target": self.target.name} | rules

    def _check_together(self) -> None:
        """Refuse what the format or target would silently ignore."""
        target = self.target
        if self.format not in target.offered:
            raise FormatNotImplementedError(self.format, target.name, target.offered)
        if not target.joins_prompts and (self.prompts or self.tools):
            option = "prompts" if self.prompts else "tools"
            raise OptionError(
                option, f"the records of target {target} hold neither prompts nor tools; choose --target trl"
            )
        if self.min_margin and not (target.pairs_need_margin and self.unit is Unit.PAIR):
            raise OptionError("min_margin", "is for the format dpo of targets other than reference")
        if self.label_threshold is not None and not self.target_format.labelled:
            raise OptionError("label_threshold", "is for the format kto")
        if self.arguments is Arguments.STRING and len(target.arguments) == 1:
            raise OptionError("arguments", f"is for target trl; the records of {target} fix it")
        if not 0 <= self.test_fraction < 1:
            raise OptionError("test_fraction", f"expected a number from 0 up to 1, found {self.test_fraction}")
        if self.workers < 0:
            raise OptionError("workers", f"expected a number of processes, found {self.workers}")
        if self.min_margin < 0:
            raise OptionError("min_margin", f"expected a number from 0 on, found {self.min_margin}")

    @property
    def looks_across(self) -> bool:
        """Whether it depends on other traces what becomes of a trace."""
        return self.unit is not Unit.TRACE or any(rule.scope > 0 for rule in self.rules)

    @property
    def target_format(self) -> Format:
        """What the target says of the format."""
        return self.target.format(self.format)

    @property
    def unit(self) -> Unit:
        """What a record is made of."""
        return self.target_format.unit

    @property
    def written_reasoning(self) -> Reasoning:
        """Where reasoning goes: as asked for, if the target can."""
        ways = self.target.reasoning
        return self.reasoning if self.reasoning in ways else ways[0]

    @property
    def skips(self) -> bool:
        """Whether a record that cannot be used is left out."""
        return self.on_error is OnError.SKIP

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


_OF_THE_RUN = ("resume", "workers", "rules")  # the first two change no byte, and rules are described


def _finite(option: str, value: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise OptionError(option, f"expected a finite number, found {value!r}")
    return number


_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def _byte_size(option: str, value: int | str) -> int:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(value))
    amount = float(match[1]) * _UNITS.get(match[2].upper(), 0) if match else 0.0
    size = int(amount) if math.isfinite(amount) else 0
    if size <= 0:
        raise OptionError(option, f"expected a size such as 500MB, found {value!r}")
    return size


_Member = TypeVar("_Member", bound=StrEnum)


def _member(enum: type[_Member], option: str, value: str) -> _Member:
    try:
        return enum(value)
    except ValueError:
        raise OptionError(option, _expected_one_of(list(enum), value)) from None


def _target(option: str, value: Target | str) -> Target:
    if isinstance(value, Target):
        return value
    if value not in targets():
        raise OptionError(option, _expected_one_of(list(targets()), value))
    return targets()[value]


def _format(option: str, value: str, target: Target) -> TrainingFormat | str:
    """Return a member of `TrainingFormat` or the name of another format that the target offers."""
    with suppress(ValueError):
        return TrainingFormat(value)
    if value in target.offered:
        return value
    raise OptionError(option, _expected_one_of(format_names(), value))


def _expected_one_of(names: Sequence[str], value: object) -> str:
    near = difflib.get_close_matches(str(value), names, n=1)
    return f"expected one of {', '.join(names)}, found {value!r}" + (f"; did you mean {near[0]}?" if near else "")
