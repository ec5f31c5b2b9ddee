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
    TIED = "tied"
    """The best and the worst trace of its case have the same score."""
    SMALL_MARGIN = "small_margin"
    """The scores of the best and the worst trace of its case differ by less than the minimum margin."""
    DIFFERENT_PROMPTS = "different_prompts"
    """The sides of its pair share no user's message before the agent's messages part: they answer different prompts."""
    IDENTICAL = "identical"
    """Both sides of its pair say the same."""
    NOT_SINGLE_MESSAGE = "not_single_message"
    """A side of its pair is not one message of the assistant, which is all that the target takes."""
    SYSTEM_MESSAGE_INSIDE = "system_message_inside"
    """A system message stands behind the first message of another: LLaMA-Factory has one place for it, at the top."""
    STARTS_WITH_ASSISTANT = "starts_with_assistant"
    """Its conversation does not start with a message of the user, as LLaMA-Factory wants it."""
    EMPTY_LAST_MESSAGE = "empty_last_message"
    """Its last message says nothing, so that LLaMA-Factory has nothing to train on."""
    ADJACENT_TOOL_CALLS = "adjacent_tool_calls"
    """Tool calls stand beside another message of the assistant: LLaMA-Factory wants the sides to alternate."""
    UNANSWERED_CALL = "unanswered_call"
    """A tool call has no result, which OpenAI refuses."""
    REPEATED_CALL_ID = "repeated_call_id"
    """Two tool calls of a message have the same id, which OpenAI refuses."""
    REPEATED_RESULT = "repeated_result"
    """A tool call has several results, which OpenAI refuses."""
    UNLABELLED = "unlabelled"
    """It has no verdict (or, with a label threshold, no score) to make a label from."""
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
        dropped: Number of traces dropped, by reason. With `exported` they add up to `traces_read`.
        examples: Eval set and case of one of these traces, by reason; not every reason has one.
        dropped_content: Content of the exported traces that the records cannot carry: blocks, calls or results.
        skipped_files: Files without traces that a search of a directory found, with what they hold.
        bytes_read: Size of the sources as they are stored; what is piped does not count.
        seconds: How long it took.
        rejects: The file with the invalid traces; None where they stop an export.
        resumed: How many of the exported traces an interrupted export had written.
    """

    output: str
    records: int
    traces_read: int
    exported: int
    dropped: dict[str, int] = field(default_factory=dict)
    examples: dict[str, tuple[str | None, str]] = field(default_factory=dict)
    dropped_content: dict[str, int] = field(default_factory=dict)
    skipped_files: dict[str, str] = field(default_factory=dict)
    bytes_read: int = 0
    seconds: float = 0.0
    rejects: str | None = None
    resumed: int = 0

    def example(self, reason: str) -> str | None:
        """Return the eval set and case of a trace that was dropped for a reason, in one text; None if not known."""
        if reason not in self.examples:
            return None
        eval_set, case = self.examples[reason]
        return case if eval_set is None else f"{eval_set}/{case}"

    def __post_init__(self) -> None:
        accounted = self.exported + sum(self.dropped.values())
        if accounted != self.traces_read:
            raise AssertionError(f"{self.traces_read} traces were read, but {accounted} are accounted for")
