"""The account of an export: every trace read ends in exactly one count."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["DropReason", "ExportReport"]


class DropReason(StrEnum):
    """Why a trace that was read is in no record."""

    UNSCORED = "unscored"
    """It has no score, and the quality threshold or a pair needs one."""
    BELOW_THRESHOLD = "below_threshold"
    """Its score does not reach the quality threshold."""
    SINGLE_RUN = "single_run"
    """It is the only qualifying trace of its case, which makes no pair."""
    MISSING_PROMPT = "missing_prompt"
    """No user's message is known for its case, and such traces are skipped."""
    NO_ANSWER = "no_answer"
    """The agent neither acted nor answered: there is nothing to learn."""
    NOT_REPRESENTABLE = "not_representable"
    """The target has no record for such a conversation."""
    TIED = "tied"
    """The best and the worst trace of its case have the same score."""
    SMALL_MARGIN = "small_margin"
    """The scores of the best and the worst trace of its case differ by less than the minimum margin."""
    IDENTICAL = "identical"
    """The best and the worst trace of its case say the same."""
    NOT_SELECTED = "not_selected"
    """It is neither the best nor the worst qualifying trace of its case."""
    INVALID = "invalid"
    """It cannot be used, and such traces are skipped; what cannot be read of a source counts as one."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export did.

    Attributes:
        output: Where the records are.
        records: Number of records written; a pair is one record of two traces.
        traces_read: Number of traces read.
        exported: Number of traces in the records.
        dropped: Number of traces left out, by reason. With `exported` they add up to `traces_read`.
        dropped_content: Content of the exported traces that the records cannot carry: blocks, calls or results.
        skipped_files: Files without traces that a search of a directory found, with what they hold.
        bytes_read: Size of the sources as they are stored; what is piped does not count.
        seconds: How long it took.
        rejects: The file that the invalid traces were set aside in; None where they stop an export.
        resumed: How many of the exported traces an interrupted export had written.
    """

    output: str
    records: int
    traces_read: int
    exported: int
    dropped: dict[str, int] = field(default_factory=dict)
    dropped_content: dict[str, int] = field(default_factory=dict)
    skipped_files: dict[str, str] = field(default_factory=dict)
    bytes_read: int = 0
    seconds: float = 0.0
    rejects: str | None = None
    resumed: int = 0

    def __post_init__(self) -> None:
        accounted = self.exported + sum(self.dropped.values())
        if accounted != self.traces_read:
            raise AssertionError(f"{self.traces_read} traces were read, but {accounted} are accounted for")
