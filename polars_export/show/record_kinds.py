"""Recognise the records that an export writes, by what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polars_export.json_values import Json

__all__ = ["MESSAGE_FIELDS", "are_messages", "holds_messages", "is_record"]

MESSAGE_FIELDS = (
    "messages", "conversations", "input", "prompt", "completion", "completions", "chosen", "rejected",
    "preferred_output", "non_preferred_output",
)  # fmt: skip
"""The fields of records that hold messages, in the order in which they are read."""

_OF_PAIRS = ({"chosen", "rejected"}, {"preferred_output", "non_preferred_output"})
_OF_SIDES = ({"prompt", "completion"}, {"prompt", "completions"})
_BESIDE_PROMPT = frozenset({"prompt", "tools", "metadata", "data_source", "ability", "reward_model", "extra_info"})
_BESIDE_CONVERSATIONS = frozenset({"conversations", "system", "tools"})


def is_record(value: Json) -> bool:
    """Return whether a value is a record of an export for sure, and no trace that an export reads.

    Rows with nothing but messages and tools may be either; they are read as traces.
    """
    if not isinstance(value, dict):
        return False
    fields = {name for name, field in value.items() if field is not None}
    if any(pair <= fields for pair in _OF_PAIRS):
        return holds_messages(value)
    if any(sides <= fields for sides in _OF_SIDES):
        return are_messages(value["prompt"])
    if not holds_messages(value):
        return False
    metadata = value.get("metadata")
    return (
        (isinstance(metadata, dict) and {"case_id", "score"} <= metadata.keys())
        or "kto_tag" in fields
        or ("tools" in fields and fields <= _BESIDE_CONVERSATIONS)
        or ("prompt" in fields and fields <= _BESIDE_PROMPT and len(fields) > 1)
        or _has_weights(value.get("messages"))
    )


def holds_messages(value: Json) -> bool:
    """Return whether a value is an object with messages in a field that records have."""
    return isinstance(value, dict) and any(_holds(value.get(name)) for name in MESSAGE_FIELDS)


def are_messages(value: Json) -> bool:
    """Return whether a value is a list of messages, which may be empty."""
    return isinstance(value, list) and all(_is_message(item) for item in value)


def _holds(value: Json) -> bool:
    """Return whether the value of a field holds messages: a list, one, lists of them, or an object with a list."""
    if isinstance(value, dict):
        return _is_message(value) or are_messages(value.get("messages"))
    return are_messages(value) or (isinstance(value, list) and all(are_messages(item) for item in value))


def _is_message(value: Json) -> bool:
    return isinstance(value, dict) and (isinstance(value.get("role"), str) or isinstance(value.get("from"), str))


def _has_weights(messages: Json) -> bool:
    return are_messages(messages) and any(message.get("weight") is not None for message in messages)
