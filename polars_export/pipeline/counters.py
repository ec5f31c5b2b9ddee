"""Counts that grow while batches pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from polars_export.errors import MissingPromptError, NothingToExportError
from polars_export.report import DropReason
from polars_export.targets import Unit, options_naming_formats

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.targets import Format, Target

__all__ = ["Case", "Counters"]

_CASES_NAMED = 5

Case: TypeAlias = tuple[str | None, str]
"""An eval set, None on lines that name none, and the id of a case."""


@dataclass(slots=True)
class Counters:
    """The account of an export under way.

    Attributes:
        traces_read: Number of traces read.
        exported: Number of traces in the records.
        records: Number of records.
        dropped: Number of traces in no record, by reason.
        examples: The eval set and case of one trace that left, by reason; not for every reason.
        dropped_content: Content of the exported traces that the records cannot carry, by kind.
        missing: The cases without a user's message, in the order read, where that is an error.
    """

    traces_read: int = 0
    exported: int = 0
    records: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Case] = field(default_factory=dict)
    dropped_content: Counter[str] = field(default_factory=Counter)
    missing: dict[Case, None] = field(default_factory=dict)

    def drop(self, reason: str, count: int, example: Case | None = None) -> None:
        """Count traces that are in no record; the first example of a reason is kept."""
        if count:
            self.dropped[reason] += count
        if example:
            self.examples.setdefault(reason, example)

    def add(self, other: Counters) -> None:
        """Add the counts of another part of the same export."""
        self.traces_read += other.traces_read
        self.exported += other.exported
        self.records += other.records
        self.dropped.update(other.dropped)
        for reason, example in other.examples.items():
            self.examples.setdefault(reason, example)
        self.dropped_content.update(other.dropped_content)
        self.missing |= other.missing

    def raise_if_empty(self, options: ExportOptions) -> None:
        """Check that there is something to write.

        Args:
            options: Say what was asked for.

        Raises:
            MissingPromptError: There are cases without a user's message, where that is an error.
            NothingToExportError: There is no record.
        """
        if self.missing:
            raise MissingPromptError(len(self.missing), list(self.missing)[:_CASES_NAMED])
        if not self.records:
            dropped = {str(reason): count for reason, count in self.dropped.items()}
            unpaired = {str(DropReason.DIFFERENT_PROMPTS): f"{_formats_without_shared_prompt()} needs no shared prompt"}
            raise NothingToExportError(options.quality_threshold, self.traces_read, dropped, unpaired)


def _formats_without_shared_prompt() -> str:
    """Return the options that name the formats which learn from preferences, and whose runs may differ in prompts."""

    def holds(target: Target, offered: Format) -> bool:
        is_whole_pair = offered.unit is Unit.PAIR and not offered.shared_prompt and target.joins_prompts
        return offered.labelled or is_whole_pair

    return options_naming_formats(holds)
