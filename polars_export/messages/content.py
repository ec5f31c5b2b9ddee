"""The content of a message: a text, or parts of many kinds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from polars_export.json_values import describe_value
from polars_export.messages.calls import optional_id, read_call
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.json_text import to_text

if TYPE_CHECKING:
    from polars_export.json_values import Json
    from polars_export.messages.records import ToolCall

__all__ = ["Content", "Segment", "read_content", "read_result"]

_TEXT = frozenset({"text", "input_text", "output_text"})
_THOUGHT = {"thinking": "thinking", "reasoning": "text", "reasoning_text": "text"}
_IMAGE = frozenset({"image", "image_url", "input_image"})
_PARTS = "a string, an array of parts or null"


class Segment(NamedTuple):
    """Text, or a tool result that stands inside a message.

    Attributes:
        text: What it says.
        is_result: Whether it is a result.
        call_id: The call that it names; None without one.
        is_error: Whether it says that the call failed.
    """

    text: str
    is_result: bool = False
    call_id: str | None = None
    is_error: bool = False


@dataclass(slots=True)
class Content:
    """What a message consists of.

    Attributes:
        segments: Its texts and the tool results in it, in order.
        thoughts: Its reasoning.
        calls: The tool calls in it.
        dropped: For each part that has no place the column of `turns` that counts it.
    """

    segments: list[Segment] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return its texts, joined with nothing between."""
        return "".join(segment.text for segment in self.segments if not segment.is_result)


def read_content(value: Json, path: str) -> Content:
    """Return the content of a message.

    Raises:
        InvalidRecordError: It is neither a string, an array of parts nor null.
    """
    content = Content()
    if isinstance(value, str):
        content.segments.append(Segment(value))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            _add_part(content, part, f"{path}[{index}]")
    elif value is not None:
        raise InvalidRecordError(path, _PARTS, describe_value(value))
    return content


def read_result(value: Json, path: str) -> Content:
    """Return the content of a tool result; where it is neither text nor parts, that value as JSON.

    Raises:
        InvalidRecordError: A part is not what it should be.
    """
    if value is None or isinstance(value, str) or _are_parts(value):
        return read_content(value, path)
    return Content([Segment(to_text(value, path))])


def _are_parts(value: Json) -> bool:
    return isinstance(value, list) and all(
        isinstance(part, dict) and isinstance(part.get("type"), str) for part in value
    )


def _add_part(content: Content, part: Json, path: str) -> None:
    if not isinstance(part, dict):
        raise InvalidRecordError(path, "an object", describe_value(part))
    kind = part.get("type", "text" if "text" in part else None)
    if not isinstance(kind, str):
        raise InvalidRecordError(
            f"{path}.type", "a string", describe_value(kind) if "type" in part else "no such field"
        )
    if kind in _TEXT:
        _add_text(content, _text(part, "text", path))
    elif kind in _THOUGHT:
        content.thoughts.append(_text(part, _THOUGHT[kind], path))
    elif kind == "tool_use":
        content.calls.append(read_call(part, path))
    elif kind == "tool_result":
        _add_result(content, part, path)
    else:
        content.dropped.append("image_blocks" if kind in _IMAGE else "unknown_blocks")


def _add_text(content: Content, text: str) -> None:
    if content.segments and not content.segments[-1].is_result:
        text = content.segments.pop().text + text
    content.segments.append(Segment(text))


def _add_result(content: Content, part: dict[str, Json], path: str) -> None:
    result = read_result(part.get("content"), f"{path}.content")
    call_id = optional_id(part, ("tool_use_id",), path)
    content.segments.append(Segment(result.text(), True, call_id, part.get("is_error") is True))
    content.dropped += result.dropped


def _text(part: dict[str, Json], name: str, path: str) -> str:
    text = part.get(name)
    if text is None and name in part:
        return ""
    if not isinstance(text, str):
        raise InvalidRecordError(
            f"{path}.{name}", "a string", describe_value(text) if name in part else "no such field"
        )
    return text
