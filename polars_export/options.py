"""What a user can ask for: formats, targets and the options of one export, validated once."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, TypeVar

from polars_export.errors import FormatNotImplementedError, OptionError

__all__ = ["OFFERED", "ExportOptions", "Target", "TrainingFormat"]


class TrainingFormat(StrEnum):
    """The record formats; the reference's names (`chat_ml_sft`, `dpo_pairs`, `share_gpt`) are accepted as values."""

    CHATML = "chatml"
    DPO = "dpo"
    SHAREGPT = "sharegpt"

    @classmethod
    def _missing_(cls, value: object) -> TrainingFormat | None:
        return _REFERENCE_NAMES.get(value) if isinstance(value, str) else None


_REFERENCE_NAMES = {
    "chat_ml_sft": TrainingFormat.CHATML,
    "dpo_pairs": TrainingFormat.DPO,
    "share_gpt": TrainingFormat.SHAREGPT,
}


class Target(StrEnum):
    """Who reads the records."""

    REFERENCE = "reference"


OFFERED: dict[Target, tuple[TrainingFormat, ...]] = {
    Target.REFERENCE: (TrainingFormat.CHATML, TrainingFormat.DPO, TrainingFormat.SHAREGPT),
}
"""The formats that each target has records of."""


@dataclass(frozen=True, slots=True, init=False)
class ExportOptions:
    """The options of one export.

    Attributes:
        format: The shape of a record.
        target: Who reads the records.
        quality_threshold: The lowest score with which a trace qualifies.
        include_metadata: Whether a record says which case, score and model it comes from.

    Raises:
        OptionError: A value is not one of those known, or the threshold is not a finite number.
        FormatNotImplementedError: The target has no record of this format.
    """

    format: TrainingFormat
    target: Target
    quality_threshold: float
    include_metadata: bool

    def __init__(
        self,
        format: TrainingFormat | str = TrainingFormat.CHATML,  # noqa: A002 - the reference's name for it
        *,
        target: Target | str = Target.REFERENCE,
        quality_threshold: float = 0.0,
        include_metadata: bool = True,
    ) -> None:
        set_once = object.__setattr__  # the dataclass is frozen
        set_once(self, "format", _member(TrainingFormat, "format", format))
        set_once(self, "target", _member(Target, "target", target))
        set_once(self, "quality_threshold", _finite("quality_threshold", quality_threshold))
        set_once(self, "include_metadata", include_metadata)
        if self.format not in OFFERED[self.target]:
            raise FormatNotImplementedError(self.format, self.target, OFFERED[self.target])

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


def _finite(option: str, value: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise OptionError(option, f"expected a finite number, found {value!r}")
    return number


_Member = TypeVar("_Member", bound=StrEnum)


def _member(enum: type[_Member], option: str, value: str) -> _Member:
    try:
        return enum(value)
    except ValueError:
        near = difflib.get_close_matches(str(value), list(enum), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise OptionError(option, f"expected one of {', '.join(enum)}, found {value!r}{hint}") from None
