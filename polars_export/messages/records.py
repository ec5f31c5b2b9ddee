"""Messages and traces as typed records, whatever wrote them.

`Message` is the spelling of OpenAI, which most recorders have: they are decoded to it at once. All other spellings are
brought to it, see `normalise`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence  # noqa: TC003 - msgspec looks at them when it decodes
from typing import Any, Literal, NamedTuple

from msgspec import Struct

__all__ = ["Function", "Message", "MessageCounts", "TextPart", "ToolCall", "Trace"]


# No record can be part of a reference cycle, so that none of them needs the garbage collector's attention.
class _Part(Struct, gc=False):
    pass


class Function(_Part):
    """What a call calls; the arguments are any JSON value, or the JSON text of an object."""

    name: str
    arguments: Any


class ToolCall(_Part):
    """A call of a tool."""

    function: Function
    id: str | None = None


class TextPart(_Part, tag_field="type", tag="text"):
    """A part of a message's content."""

    text: str


class Message(_Part):
    """A message. Those that have any of the last fields are spelled otherwise."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | Sequence[TextPart] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking: str | None = None
    is_error: bool = False
    type: Literal["message"] | None = None
    function_call: None = None
    refusal: None = None


class MessageCounts(NamedTuple):
    """How many messages of each kind a row has."""

    turns: int
    system: int
    user: int


class Trace(_Part):
    """One run, understood.

    Attributes:
        case_id: Its case.
        messages: What was said.
        metrics: What scored it: names and values; none if nothing did.
        score: The score that the recorder gives; None where it is the mean of the metrics, and without any.
        eval_set_id: The eval set of the case.
        run: What distinguishes the runs of its case.
        verdict: `pass` or `fail`; None if it is not known.
        model_id: Its model.
        tools: The function schemas of its tools as JSON texts; None if it names none.
        stop_reason: Why it ended, as in `traces.stop_reason`.
        error: What the recorder says of a run that crashed.
        extra: Columns of the user's own, as the text of a JSON object.
        final_response: Its final response, where that is none of the messages.
        context: The indices of the assistant's messages that the agent did not produce in this run.
        dropped: What the messages have no place for: the index of the message where it stood, and the column of `turns`
            that counts it.
        dropped_kinds: What else has no place, by kind: as in `traces.dropped`.
        counts: How many messages there are, where only these are known.
    """

    case_id: str
    messages: Sequence[Message]
    metrics: Sequence[tuple[str, float]] = ()
    score: float | None = None
    eval_set_id: str | None = None
    run: str | None = None
    verdict: Literal["pass", "fail"] | None = None
    model_id: str | None = None
    tools: list[str] | None = None
    stop_reason: str | None = None
    error: str | None = None
    extra: str | None = None
    final_response: str | None = None
    context: Collection[int] = ()
    dropped: Sequence[tuple[int, str]] = ()
    dropped_kinds: Mapping[str, int] = {}
    counts: MessageCounts | None = None
