"""The eval framework's spelling of a case result, as typed records: the only place that knows it.

Four families share one shape, one for each level of detail. `TraceOutline` holds what the choice of traces needs and
skips the rest unread; `Trace` what the reference's records need; `ConversationTrace` what the records for trainers
need; `FullTrace` what the full tables need. Fields without a default are required.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

__all__ = [
    "BLOCK_TYPES",
    "Amounts",
    "CaseScores",
    "ConversationTrace",
    "ConversationTurn",
    "Counts",
    "Duration",
    "Extension",
    "FullBlock",
    "FullInvocation",
    "FullTrace",
    "FullTurn",
    "Image",
    "SkippedThinking",
    "Text",
    "Thinking",
    "ToolResult",
    "Trace",
    "TraceOutline",
    "Turn",
    "UnknownBlock",
]

Unsigned = Annotated[int, Meta(ge=0, le=2**63 - 1)]  # what an Int64 column holds


# No record can be part of a reference cycle, so that none of them needs the garbage collector's attention.
class _Part(Struct, gc=False, kw_only=True):
    pass


class _Block(_Part, tag_field="type"):
    pass


class Text(_Block, tag="text"):
    """What the assistant says."""

    text: str


class _Silent(_Block):
    text: ClassVar[str] = ""  # so that the texts of all blocks can be joined without asking what they are


class SkippedThinking(_Silent, tag="thinking"):
    """A thinking block of which only the presence counts."""


class Thinking(SkippedThinking, tag="thinking"):
    """What the assistant thinks."""

    thinking: str


class CallBlock(_Silent, tag="tool_call"):
    """Repeats one of the turn's `tool_calls`; not read."""


class Image(_Silent, tag="image"):
    """An image; not read."""


class Extension(_Silent, tag="extension"):
    """A block of an extension; not read."""


class UnknownBlock(_Silent, tag="unknown"):
    """Stands for a block of any other type; see `decoder.name_unknown_blocks`."""


BLOCK_TYPES = frozenset({"text", "thinking", "tool_call", "image", "extension"})

Block = Text | SkippedThinking | CallBlock | Image | Extension | UnknownBlock
FullBlock = Text | Thinking | CallBlock | Image | Extension | UnknownBlock


class ToolCall(_Part):
    """A call of a tool; the arguments are any JSON value."""

    id: str
    name: str
    arguments: Any


class Skipped(_Part):
    """An object of which only the presence counts."""


class Message(_Part):
    """The assistant's message of a turn."""

    content: Sequence[Block]


class Turn(Skipped):
    """One message of the assistant, its calls and their results."""

    turn_index: Unsigned
    assistant_message: Message
    tool_calls: Sequence[ToolCall]
    tool_results: Sequence[Skipped] = ()


class Model(_Part):
    """The model of an invocation."""

    model_id: str


class InvocationOutline(_Part):
    """Whether the agent said anything for a case."""

    turns: Sequence[Skipped]
    final_response: str | None = None


class Invocation(InvocationOutline, kw_only=True):
    """What the agent did for a case."""

    turns: Sequence[Turn]
    model: Model


class Score(_Part):
    """What a metric gave."""

    value: float


class Metric(_Part):
    """One metric of a case result."""

    score: Score


class TraceOutline(_Part):
    """A case result, or a scored trace: that one has `score`, a number, in place of `metric_results`."""

    case_id: str
    invocation: InvocationOutline
    metric_results: Sequence[Metric] | UnsetType = UNSET
    score: Any = UNSET  # of a case result it is an unknown field, which is not checked
    eval_set_id: str | None = None
    system_prompt: Any = None  # this and the next are checked where records hold prompts
    user_messages: Any = None


class Trace(TraceOutline, kw_only=True):
    """A case result or scored trace with what the reference's records hold."""

    invocation: Invocation


class CaseScores(_Part):
    """The part of a case result that its score comes from."""

    case_id: str
    invocation: Skipped
    metric_results: Sequence[Metric]


class Duration(_Part):
    """A length of time."""

    secs: Unsigned
    nanos: Unsigned = 0


class Counts(_Part):
    """Tokens used."""

    input: Unsigned
    output: Unsigned
    cache_read: Unsigned
    cache_write: Unsigned
    total: Unsigned


class Amounts(_Part):
    """What the tokens cost."""

    input: float
    output: float
    cache_read: float
    cache_write: float
    total: float


StopReason = Literal["stop", "length", "tool_use", "aborted", "error", "transfer"]


class ToolResult(Skipped):
    """What a tool returned."""

    tool_call_id: str
    content: Sequence[FullBlock]
    is_error: bool = False


class ConversationMessage(Message):
    """The assistant's message with its thoughts."""

    content: Sequence[FullBlock]


class ConversationTurn(Turn):
    """A turn with what its calls returned."""

    assistant_message: ConversationMessage
    tool_results: Sequence[ToolResult] = ()


class ConversationInvocation(Invocation, kw_only=True):
    """An invocation of such turns."""

    turns: Sequence[ConversationTurn]


class ConversationTrace(Trace, kw_only=True):
    """A case result or scored trace with all that the records for trainers hold."""

    invocation: ConversationInvocation
    verdict: Literal["pass", "fail"] | None = None


class FullMessage(ConversationMessage):
    """The assistant's message with its circumstances."""

    provider: str | None = None
    model_id: str | None = None
    usage: Counts | None = None
    cost: Amounts | None = None
    stop_reason: StopReason | None = None
    error_message: str | None = None
    timestamp: Unsigned | None = None


class FullTurn(ConversationTurn):
    """A turn with its duration."""

    assistant_message: FullMessage
    duration: Duration | None = None


class FullModel(Model):
    """The model with its settings."""

    provider: str | None = None
    thinking_level: str | None = None


class FullInvocation(ConversationInvocation, kw_only=True):
    """An invocation with its totals."""

    turns: Sequence[FullTurn]
    model: FullModel
    stop_reason: StopReason | None = None
    total_usage: Counts | None = None
    total_cost: Amounts | None = None
    total_duration: Duration | None = None


class FullScore(Score):
    """What a metric gave, and what it should have given."""

    threshold: float | None = None


class FullMetric(Metric):
    """A metric with its name."""

    evaluator_name: str
    score: FullScore
    details: str | None = None


class FullTrace(ConversationTrace, kw_only=True):
    """A case result or scored trace with all that the full tables hold."""

    invocation: FullInvocation
    metric_results: Sequence[FullMetric] | UnsetType = UNSET
