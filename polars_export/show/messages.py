"""Entries of the messages of records, in the spellings of all targets."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from polars_export.show.calls import compact
from polars_export.show.transcript import Entry, Kind
from polars_export.show.turn_entries import Call, Calls, assistant_entries, labelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from polars_export.json_values import Json

__all__ = ["MessageReader", "without_ids"]

_ROLES = {"human": "user", "gpt": "assistant", "observation": "tool", "function_call": "assistant"}
_FIELDS = frozenset({
    "role", "from", "content", "value", "name", "tool_calls", "tool_call_id", "reasoning_content", "weight",
})  # fmt: skip
_OPENING, _CLOSING = "<think>", "</think>"


class MessageReader:
    """Reads the messages of one record.

    Attributes:
        not_shown: What has no place in a transcript, by kind.
    """

    def __init__(self) -> None:
        self.not_shown: Counter[str] = Counter()
        self._calls = Calls()

    def entries(self, messages: Iterable[Json]) -> list[Entry]:
        """Return the entries of some messages that follow each other."""
        return [entry for message in messages for entry in self._message(message)]

    def _message(self, message: Json) -> Iterable[Entry]:
        if not isinstance(message, dict):
            self.not_shown["messages that are no objects"] += 1
            return
        self.not_shown.update(
            f"fields {name!r} of messages" for name, value in message.items() if name not in _FIELDS and value
        )
        role = _text_or_none(message.get("role")) or _text_or_none(message.get("from")) or ""
        text = self._text(message.get("content", message.get("value")))
        match _ROLES.get(role, role):
            case "assistant":
                yield from self._assistant(message, text, is_call=role == "function_call")
            case "tool":
                yield self._calls.result(_text_or_none(message.get("tool_call_id")), text)
            case known:
                kind = Kind.SYSTEM if known == "system" else Kind.USER
                yield Entry(kind, labelled(known or "?", _text_or_none(message.get("name"))), text)

    def _assistant(self, message: Json, text: str, *, is_call: bool) -> Iterable[Entry]:
        reasoning = _text_or_none(message.get("reasoning_content"))
        calls: Sequence[Call] = [_call(call) for call in message.get("tool_calls") or () if isinstance(call, dict)]
        if is_call and (parsed := _calls_in(text)) is not None:
            reasoning, calls = parsed
            text = ""
        self._calls = Calls(calls)
        context = "context" if message.get("weight") == 0 else None
        return assistant_entries(text, reasoning, self._calls, context, _text_or_none(message.get("name")))

    def _text(self, content: Json) -> str:
        if isinstance(content, list):
            return "".join(map(self._part, content))
        return "" if content is None else content if isinstance(content, str) else compact(content)

    def _part(self, part: Json) -> str:
        if isinstance(part, str):
            return part
        if isinstance(part, dict) and isinstance(text := part.get("text"), str):
            return text
        kind = part.get("type") if isinstance(part, dict) else None
        self.not_shown[f"parts of type {kind}" if isinstance(kind, str) else "parts of no type"] += 1
        return ""


def without_ids(message: Json) -> Json:
    """Return a message without the ids of calls, which differ between runs that do the same."""
    if not isinstance(message, dict):
        return message
    kept = {name: value for name, value in message.items() if name != "tool_call_id" and value is not None}
    if isinstance(calls := kept.get("tool_calls"), list):
        kept["tool_calls"] = [
            {key: value for key, value in call.items() if key != "id"} if isinstance(call, dict) else call
            for call in calls
        ]
    return kept


def _call(call: Json) -> Call:
    function = call.get("function")
    described = function if isinstance(function, dict) else call
    arguments = described.get("arguments")
    return Call(
        _text_or_none(call.get("id")),
        _text_or_none(described.get("name")) or "?",
        arguments if isinstance(arguments, str) else "" if arguments is None else compact(arguments),
    )


def _calls_in(value: str) -> tuple[str | None, Sequence[Call]] | None:
    """Return the reasoning and the calls in a value of LLaMA-Factory's `function_call`; None where it is no such."""
    reasoning = None
    if value.startswith(_OPENING) and (end := value.rfind(f"{_CLOSING}[")) >= 0:
        reasoning, value = value[len(_OPENING) : end], value[end + len(_CLOSING) :]
    try:
        calls = msgspec.json.decode(value, type=list[dict[str, msgspec.Raw]])
        return reasoning, [
            Call(None, msgspec.json.decode(call["name"], type=str), bytes(call["arguments"]).decode()) for call in calls
        ]
    except (msgspec.MsgspecError, ValueError, KeyError, RecursionError):
        return None


def _text_or_none(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None
