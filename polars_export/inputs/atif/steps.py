"""Steps to messages."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from polars_export.json_values import describe_value
from polars_export.messages.calls import optional_id
from polars_export.messages.content import read_content, read_result
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.json_text import decode_arguments, to_text
from polars_export.messages.records import Function, Message, ToolCall

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from msgspec import Raw

    from polars_export.inputs.atif.records import Call, Metrics, Result, Step
    from polars_export.messages.content import Content

__all__ = ["StepMessages", "message_keys", "read_step"]

_EMPTY = (b"", b"null", b"[]")
_ROLES: dict[str, Literal["system", "user"]] = {"system": "system", "user": "user"}


@dataclass(slots=True)
class StepMessages:
    """What a step says.

    Attributes:
        messages: The message of the step, and what came of it.
        is_context: Whether the first of them is the assistant's and not the agent's own in this run.
        dropped: What the messages have no place for: the index of the message where it stood, and the column of `turns`
            that counts it.
        kinds: What else has no place.
    """

    messages: list[Message] = field(default_factory=list)
    is_context: bool = False
    dropped: list[tuple[int, str]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    def add(self, message: Message, content: Content) -> None:
        """Add a message; what its content has that is no text is counted at it."""
        others = [
            *content.calls,
            *content.thoughts,
            *(segment for segment in content.segments if segment.is_result),
        ]
        message.content = content.text()
        self.dropped += [(len(self.messages), column) for column in content.dropped]
        self.dropped += [(len(self.messages), "unknown_blocks")] * len(others)
        self.messages.append(message)


def read_step(step: Step, path: str) -> StepMessages:
    """Return what a step says.

    Raises:
        InvalidRecordError: It is not what a step should be.
    """
    said = StepMessages()
    results = (step.observation.results if step.observation else None) or []
    _count_metrics(said.kinds, step.metrics)
    subagents = sum(len(result.subagent_trajectory_ref or ()) for result in results)
    if subagents:
        said.kinds["subagents"] += subagents
    content = read_content(step.message, f"{path}.message")
    if step.source == "agent":
        is_dispatch = type(step.llm_call_count) is int and step.llm_call_count == 0  # the harness acted, and no model
        said.is_context = step.is_copied_context is True or is_dispatch
        calls = [_call(call, f"{path}.tool_calls[{index}]") for index, call in enumerate(step.tool_calls or ())]
        message = Message("assistant", tool_calls=calls, reasoning_content=step.reasoning_content or None)
        decode_arguments([message], f"{path}.tool_calls")
        said.add(message, content)
    elif step.source in _ROLES:
        if step.tool_calls:
            said.kinds["calls of others than the agent"] += len(step.tool_calls)
        if step.source == "system" and (subagents or (step.extra and step.extra.context_management is not None)):
            said.kinds["notes about the context"] += 1
        elif step.source == "user" or content.text() or content.dropped:
            said.add(Message(_ROLES[step.source]), content)
    else:
        raise InvalidRecordError(f"{path}.source", "one of system, user, agent", describe_value(step.source))
    for index, result in enumerate(results):
        _add_result(said, result, f"{path}.observation.results[{index}]", of_agent=step.source == "agent")
    return said


def _add_result(said: StepMessages, result: Result, path: str, *, of_agent: bool) -> None:
    """Add what a call, or an environment, said; what the latter says to nobody's turn is a message of the user."""
    if not result.source_call_id and result.content is None:
        return
    content = read_result(result.content, f"{path}.content")
    if of_agent or result.source_call_id:
        said.add(Message("tool", tool_call_id=result.source_call_id or None), content)
    else:
        said.add(Message("user"), content)


def _call(call: Call, path: str) -> ToolCall:
    call_id = optional_id({"tool_call_id": call.tool_call_id}, ("tool_call_id",), path)
    return ToolCall(Function(call.function_name, {} if call.arguments is None else call.arguments), call_id)


def _count_metrics(kinds: Counter[str], metrics: Metrics | None) -> None:
    if metrics is None:
        return
    if _holds(metrics.prompt_token_ids) or _holds(metrics.completion_token_ids):
        kinds["lists of token ids"] += 1
    if _holds(metrics.logprobs):
        kinds["lists of log probabilities"] += 1


def _holds(value: Raw) -> bool:
    return bytes(value) not in _EMPTY


def message_keys(messages: Sequence[Message], path: str) -> list[Hashable]:
    """Return for each message what it has in common with a copy of it.

    Raises:
        InvalidRecordError: Arguments are nested too deeply.
    """
    return [_key(message, path) for message in messages]


def _key(message: Message, path: str) -> Hashable:
    role = "user" if message.role == "tool" and not message.tool_call_id else message.role
    calls = [(call.function.name, to_text(call.function.arguments, path)) for call in message.tool_calls or ()]
    return role, message.content, tuple(calls)
