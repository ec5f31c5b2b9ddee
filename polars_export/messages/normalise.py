"""Bring messages of any spelling to that of OpenAI.

Each message becomes none, one or several. What has no place in them is counted where it stood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from polars_export.json_values import describe_value
from polars_export.messages.calls import optional_id, read_call, read_calls
from polars_export.messages.content import Content, Segment, read_content, read_result
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.json_text import from_text
from polars_export.messages.records import Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from polars_export.json_values import Json
    from polars_export.messages.records import ToolCall

__all__ = ["Answered", "Normalised", "normalise", "normalise_answer", "normalise_items", "normalise_parts"]

_Role = Literal["system", "user", "assistant", "tool"]
_ROLES: dict[str, _Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "ipython": "tool",
    "observation": "tool",
}
_RESULT_IDS = ("tool_call_id", "tool_use_id", "call_id")
_REASONING = ("reasoning_content", "reasoning", "thinking")


class Normalised(NamedTuple):
    """The messages of one row.

    Attributes:
        messages: All of them in OpenAI's spelling.
        dropped: What has no place in them: the index of the message where it stood, and the column that counts it.
    """

    messages: Sequence[Message]
    dropped: Sequence[tuple[int, str]]


class Answered(NamedTuple):
    """The messages of one row that has its prompt apart.

    Attributes:
        messages: As in `Normalised`, those of the prompt first.
        dropped: As in `Normalised`.
        context: The indices of the assistant's messages in the prompt: what was said before the run.
    """

    messages: Sequence[Message]
    dropped: Sequence[tuple[int, str]]
    context: frozenset[int]


def normalise(items: Json, path: str) -> Normalised:
    """Return the messages of a row.

    Args:
        items: The value of the field that holds them.
        path: Its JSON path.

    Raises:
        InvalidRecordError: It is no array, or something in it is no message.
    """
    return normalise_parts([(items, path)])


def normalise_parts(parts: Iterable[tuple[Json, str]]) -> Normalised:
    """Return the messages of a record that stand in several places: the values, each with its JSON path, in order.

    Raises:
        InvalidRecordError: One is no array, or something in it is no message.
    """
    conversation = _Conversation()
    for items, path in parts:
        if not isinstance(items, list):
            raise InvalidRecordError(path, "an array of messages", describe_value(items))
        for index, item in enumerate(items):
            conversation.add(item, f"{path}[{index}]")
        conversation.end_turn()  # nobody goes on in one place with what stands in another
    return Normalised(conversation.messages, conversation.dropped)


def normalise_items(items: Iterable[tuple[Json, str]]) -> Normalised:
    """Return the messages of a record that stand anywhere in it: the values, each with its JSON path, in order.

    Raises:
        InvalidRecordError: One is no message.
    """
    conversation = _Conversation()
    for item, path in items:
        conversation.add(item, path)
    conversation.end_turn()
    return Normalised(conversation.messages, conversation.dropped)


def normalise_answer(prompt: tuple[Json, str], answer: tuple[Json, str]) -> Answered:
    """Return the messages of a prompt and of what answers it: two values, each with its JSON path.

    Raises:
        InvalidRecordError: One is no array, or something in it is no message.
    """
    asked, said = normalise_parts([prompt]), normalise_parts([answer])
    before = len(asked.messages)
    context = frozenset(index for index, message in enumerate(asked.messages) if message.role == "assistant")
    dropped = [*asked.dropped, *((before + index, column) for index, column in said.dropped)]
    return Answered([*asked.messages, *said.messages], dropped, context)


class _Conversation:
    """Gathers the messages of one row.

    Where a turn is spelled as several items it is the run of reasoning, calls and a message up to the next result or
    message of somebody else. The order within the run varies, and nothing says where one response of the model ends and
    the next begins, but that a response has one message.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.dropped: list[tuple[int, str]] = []
        self._turn: Message | None = None  # the last message, while it may go on
        self._has_message = False
        self._thoughts: list[str] = []

    def add(self, item: Json, path: str) -> None:
        """Add the next message or item."""
        if not isinstance(item, dict):
            raise InvalidRecordError(path, "an object", describe_value(item))
        if "role" in item or "from" in item:
            self._add_message(item, path)
        else:
            self._add_item(item, path)

    def end_turn(self) -> None:
        """End the turn that may go on; reasoning that nothing follows belongs to it."""
        if self._thoughts:
            self._continued_turn()
        self._turn = None

    def _add_message(self, item: dict[str, Json], path: str) -> None:
        role_field, content_field = ("role", "content") if "role" in item else ("from", "value")
        name = item[role_field]
        if not isinstance(name, str) or name not in _ROLES:
            raise InvalidRecordError(f"{path}.{role_field}", f"one of {', '.join(_ROLES)}", describe_value(name))
        role, value, at = _ROLES[name], item.get(content_field), f"{path}.{content_field}"
        if name == "function_call":
            self._add_turn(item, Content(calls=_calls_of_text(value, at)), path)
        elif role == "assistant":
            self._add_turn(item, read_content(value, at), path)
        else:
            content = read_result(value, at) if role == "tool" else read_content(value, at)
            self._add_others(item, role, content, path)

    def _add_others(self, item: dict[str, Json], role: _Role, content: Content, path: str) -> None:
        """Add the message of somebody else, and the results in it as messages of their own."""
        self.end_turn()
        own_calls = [*content.calls, *read_calls(item.get("tool_calls"), f"{path}.tool_calls")]
        thoughts_and_calls = len(content.thoughts) + len(own_calls)
        self._count(len(self.messages), [*content.dropped, *["unknown_blocks"] * thoughts_and_calls])
        call_id = optional_id(item, _RESULT_IDS, path) if role == "tool" else None
        is_error = item.get("is_error") is True
        name = _name_of(item, path)
        segments = content.segments
        if role == "system":
            segments = [Segment(content.text())]
        for segment in segments or [Segment("")]:
            if segment.is_result:
                self._add_result(segment)
            else:
                message = Message(role, segment.text, tool_call_id=call_id, name=name, is_error=is_error)
                self.messages.append(message)

    def _add_turn(self, item: dict[str, Json], content: Content, path: str) -> None:
        """Add a message of the assistant: a turn, or what a turn of items says."""
        if self._turn is None or self._has_message:
            self._begin_turn()
        turn = self._continued_turn()
        self._has_message = True
        turn.content = content.text()
        calls = content.calls or read_calls(item.get("tool_calls"), f"{path}.tool_calls")
        if not calls and item.get("function_call") is not None:
            calls = [read_call(item["function_call"], f"{path}.function_call")]
        turn.tool_calls = [*(turn.tool_calls or ()), *calls]
        reasoning = [value for field in _REASONING if (value := item.get(field))]
        thoughts = content.thoughts or [value for value in reasoning if isinstance(value, str)][:1]
        for thought in thoughts:
            self._think(turn, thought)
        results = sum(segment.is_result for segment in content.segments)
        others = results + (item.get("refusal") is not None) + (bool(reasoning) and not thoughts)
        self._count(len(self.messages) - 1, [*content.dropped, *["unknown_blocks"] * others])

    def _add_item(self, item: dict[str, Json], path: str) -> None:
        """Add an item of OpenAI's Responses that is no message."""
        kind = item.get("type") or _kind_of(item)
        match kind:
            case "reasoning":
                self._add_reasoning(item)
            case "function_call" | "custom_tool_call":
                turn = self._continued_turn()
                turn.tool_calls = [*(turn.tool_calls or ()), read_call(item, path)]
            case "function_call_output" | "custom_tool_call_output":
                self.end_turn()
                output = read_result(item.get("output"), f"{path}.output")
                self._count(len(self.messages), output.dropped)
                self._add_result(Segment(output.text(), True, optional_id(item, _RESULT_IDS, path)))
            case str() if kind.endswith(("_call", "_call_output")):
                self._count_item()
            case _:
                raise InvalidRecordError(f"{path}.role", f"one of {', '.join(_ROLES)}", "no such field")

    def _add_reasoning(self, item: dict[str, Json]) -> None:
        text = _joined(item.get("content")) or _joined(item.get("summary"))
        if text:
            self._thoughts.append(text)
        elif item.get("encrypted_content"):
            self._count_item()

    def _add_result(self, result: Segment) -> None:
        message = Message("tool", result.text, tool_call_id=result.call_id, is_error=result.is_error)
        self.messages.append(message)

    def _begin_turn(self) -> None:
        self._turn = Message("assistant")
        self._has_message = False
        self.messages.append(self._turn)

    def _continued_turn(self) -> Message:
        """Return the turn that goes on, or begin one; with what was thought before."""
        if self._turn is None:
            self._begin_turn()
        turn = cast("Message", self._turn)
        thoughts, self._thoughts = self._thoughts, []
        for thought in thoughts:
            self._think(turn, thought)
        return turn

    def _think(self, turn: Message, thought: str) -> None:
        if turn.reasoning_content:
            self._count(len(self.messages) - 1, ["thinking_blocks"])
        turn.reasoning_content = (turn.reasoning_content or "") + thought

    def _count_item(self) -> None:
        """Count an item that has no place at the turn that goes on, or at what follows."""
        self._count(len(self.messages) - (self._turn is not None), ["unknown_blocks"])

    def _count(self, index: int, columns: Iterable[str]) -> None:
        self.dropped += [(index, column) for column in columns]


def _kind_of(item: dict[str, Json]) -> str | None:
    """Return what an item is that does not say its type."""
    if "output" in item and "call_id" in item:
        return "function_call_output"
    return "function_call" if "name" in item and "arguments" in item else None


def _calls_of_text(value: Json, path: str) -> list[ToolCall]:
    """Return the calls of a message that is nothing else: one, or an array of them, mostly as JSON."""
    call = from_text(value)
    return read_calls(call, path) if isinstance(call, list) else [read_call(call, path)]


def _name_of(item: dict[str, Json], path: str) -> str | None:
    name = item.get("name")
    if not isinstance(name, str | None):
        raise InvalidRecordError(f"{path}.name", "a string or null", describe_value(name))
    return name


def _joined(parts: Json) -> str:
    """Join the texts of the parts of an item."""
    if isinstance(parts, str):
        return parts
    of_parts = [part.get("text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return "".join(text for text in of_parts if isinstance(text, str))
