"""Messages and rows as typed records.

`Message` is the spelling of OpenAI, which most rows have: they are decoded to it at once. All other spellings are
brought to it, see `normalise`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal, NamedTuple, cast

from msgspec import UNSET, Raw, Struct, UnsetType, defstruct, field

from polars_export.tables.projection import Projection

__all__ = [
    "CASE_FIELDS",
    "OWN_FIELDS",
    "RUN_FIELDS",
    "SCORE_FIELDS",
    "Function",
    "Message",
    "MessageCounts",
    "MessageOutline",
    "Row",
    "ToolCall",
    "Trace",
    "row_type",
]

CASE_FIELDS = ("task_id", "instance_id", "example_id", "prompt_id")
RUN_FIELDS = ("trial", "run_id")
SCORE_FIELDS = ("score", "reward")
OWN_FIELDS = frozenset({*CASE_FIELDS, *RUN_FIELDS, *SCORE_FIELDS, "model", "tools"})
"""The fields of a row that mean something, beside the one with its messages."""


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


class MessageOutline(_Part):
    """A message with what is needed to count turns and users' messages."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Raw = Raw(b"null")
    tool_calls: Raw = Raw(b"null")
    tool_call_id: str | None = None
    type: Literal["message"] | None = None
    function_call: None = None


class Row(Struct, gc=False, kw_only=True):
    """A row; the field of its messages is named otherwise in each source, see `row_type`."""

    messages: Any
    task_id: Any = UNSET
    instance_id: Any = UNSET
    example_id: Any = UNSET
    prompt_id: Any = UNSET
    score: Any = UNSET
    reward: Any = UNSET


class ConversationRow(Row, kw_only=True):
    """A row with all that records hold."""

    trial: Any = UNSET
    run_id: Any = UNSET
    model: Any = UNSET
    tools: Raw | UnsetType = UNSET


@cache
def row_type(messages_field: str, projection: Projection) -> type[Row]:
    """Return the type of the rows of a source whose messages stand in a field."""
    is_outline = projection is Projection.SELECTION
    base, message = (Row, MessageOutline) if is_outline else (ConversationRow, Message)
    fields = [("messages", list[message], field(name=messages_field))]  # type: ignore[valid-type]
    return cast("type[Row]", defstruct("Row", fields, bases=(base,), kw_only=True, gc=False))


class MessageCounts(NamedTuple):
    """How many messages of each kind a row has."""

    turns: int
    system: int
    user: int


class Trace(_Part):
    """One row, understood.

    Attributes:
        case_id: Its case.
        metric: The field of its score and the score; None if nothing scored it.
        run: What distinguishes the runs of its case.
        model_id: Its model.
        tools: The function schemas of its tools as JSON texts; None if it names none.
        messages: What was said.
        dropped: What the messages have no place for: the index of the message where it stood, and the column of `turns`
            that counts it.
        counts: How many messages there are, where only these are known.
    """

    case_id: str
    metric: tuple[str, float] | None
    messages: Sequence[Message]
    run: str | None = None
    model_id: str | None = None
    tools: list[str] | None = None
    dropped: Sequence[tuple[int, str]] = ()
    counts: MessageCounts | None = None
