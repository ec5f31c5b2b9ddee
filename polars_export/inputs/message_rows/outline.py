"""Count the messages of rows without decoding what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.messages.records import MessageCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polars_export.inputs.message_rows.rows import MessageOutline

__all__ = ["UnclearOutlineError", "count_outlines"]

_ARRAY, _TEXT = ord("["), ord('"')
_PARTS_WITH_MEANING = b"tool_"  # calls and results among the parts of a content


class UnclearOutlineError(Exception):
    """What the messages say makes a difference to how many there are."""


def count_outlines(messages: Sequence[MessageOutline]) -> MessageCounts:
    """Return the counts that `PlacedMessages` comes to.

    Raises:
        UnclearOutlineError: The whole messages are needed to count.
    """
    turns = system = user = 0
    last: MessageOutline | None = None
    for message in messages:
        content = memoryview(message.content)
        if content[0] == _ARRAY and _PARTS_WITH_MEANING in bytes(content):
            raise UnclearOutlineError
        role = message.role
        if role == "assistant":
            turns += 1
            last = message
        elif role == "user":
            user += 1
        elif role != "tool":
            system += 1
        elif last is not None and not message.tool_call_id:
            calls = bytes(last.tool_calls)
            if calls[0] == _TEXT:
                raise UnclearOutlineError
            user += not _holds_calls(calls)
    return MessageCounts(turns, system, user)


def _holds_calls(tool_calls: bytes) -> bool:
    return tool_calls != b"null" and bool(tool_calls[1:-1].strip())
