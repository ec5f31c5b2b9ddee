"""OpenHands' events as messages."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from msgspec import Raw, Struct

from polars_export.inputs.record_decoder import RecordParser, parse_lenient
from polars_export.json_values import describe_value
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.values import name_of, object_of, text_of

if TYPE_CHECKING:
    from polars_export.json_values import Json

__all__ = ["Event", "Events"]

_NULL = Raw(b"null")
_HARNESS = {
    "recall": "events of recalled context",
    "agent_state_changed": "events of the agent's state",
    "change_agent_state": "events of the agent's state",
    "pause": "events of the agent's state",
    "resume": "events of the agent's state",
    "stop": "events of the agent's state",
    "start": "events of the agent's state",
    "condensation": "condensations of the history",
    "condensation_request": "condensations of the history",
    "condense": "condensations of the history",
    "loop_detection": "events of loops",
    "loop_recovery": "events of loops",
    "null": "empty events",
}
"""Actions and observations that are no part of the conversation, and as what they are counted."""


class Event(Struct, gc=False):
    """What is needed of an event; what it says a second time (`extras`), and what it cost, is skipped."""

    id: Any = None
    source: Any = None
    action: Any = None
    observation: Any = None
    cause: Any = None
    content: Any = None
    message: Any = None
    args: Raw = _NULL
    tool_call_metadata: Raw = _NULL


class _Response(Struct, gc=False):
    id: Any = None
    model: Any = None
    choices: Any = None


class _Call(Struct, gc=False):
    """Which call an action is made of, and the response of the model that has it."""

    tool_call_id: Any = None
    function_name: Any = None
    model_response: _Response | None = None


class _Answer(Struct, gc=False):
    """Which call an observation answers; the response, which the action has too, is skipped."""

    tool_call_id: Any = None


_parse_call = RecordParser(_Call)
_parse_answer = RecordParser(_Answer)


class Events:
    """Makes messages of events.

    Attributes:
        messages: Those that were made, in OpenAI's spelling, with their JSON paths.
        tools: The tools of the system event; None without.
        tools_path: Their JSON path.
        model: The model of the first response.
        dropped: What has no place, by kind.
        has_finished: Whether the agent said that it has.
    """

    def __init__(self) -> None:
        self.messages: list[tuple[Json, str]] = []
        self.tools: Json = None
        self.tools_path = ""
        self.model: str | None = None
        self.dropped: Counter[str] = Counter()
        self.has_finished = False
        self._responses: dict[str | None, list[Json]] = {}
        self._waiting: dict[str | None, str] = {}  # by the id of an action without a response, that of the call

    def add(self, event: Event, path: str) -> None:
        """Add the next event.

        Raises:
            InvalidRecordError: It is no event.
        """
        action, observation = text_of(event.action), text_of(event.observation)
        if action is None and observation is None:
            raise InvalidRecordError(path, "an event (`action` or `observation`)", "an object without")
        if harness := _HARNESS.get(observation or action or ""):
            self.dropped[harness] += 1
        elif observation:
            self._add_observation(event, path)
        elif action == "system":
            args = self._add_said("system", event, path)
            self.tools, self.tools_path = args.get("tools"), f"{path}.args.tools"
        elif event.source == "agent":
            self.has_finished = self.has_finished or action == "finish"
            self._add_action(event, action or "", path)
        elif event.source == "user" and action == "message":
            self._add_said("user", event, path)
        else:
            self.dropped["events of other kinds"] += 1

    def _add_said(self, role: str, event: Event, path: str) -> dict[str, Json]:
        """Add what an event says, and return its arguments."""
        args = object_of(parse_lenient(event.args, f"{path}.args"))
        if "content" in args:
            self.messages.append(({"role": role, "content": args["content"]}, f"{path}.args"))
        else:
            content = event.message if event.message is not None else event.content
            self.messages.append(({"role": role, "content": content}, path))
        for field, kind in (("image_urls", "images"), ("images_urls", "images"), ("file_urls", "files")):
            if isinstance(urls := args.get(field), list) and urls:
                self.dropped[f"{kind} of {'users' if role == 'user' else 'other messages'}"] += len(urls)
        return args

    def _add_action(self, event: Event, action: str, path: str) -> None:
        at = f"{path}.tool_call_metadata"
        call = _parse_call(event.tool_call_metadata, at) if bytes(event.tool_call_metadata) != b"null" else _Call()
        if call.model_response and isinstance(choices := call.model_response.choices, list) and choices:
            self._add_response(call.model_response, choices, f"{at}.model_response.choices")
        elif action == "message":
            self._add_said("assistant", event, path)
        else:
            call_id = text_of(call.tool_call_id) or f"event-{name_of(event.id) or path}"
            self._waiting[name_of(event.id)] = call_id
            self.dropped["calls made of actions"] += 1
            args = object_of(parse_lenient(event.args, f"{path}.args"))
            arguments = {key: value for key, value in args.items() if key != "thought"}
            made = {"id": call_id, "name": text_of(call.function_name) or action, "arguments": arguments}
            thought = text_of(args.get("thought")) or ""
            self.messages.append(({"role": "assistant", "content": thought, "tool_calls": [made]}, path))

    def _add_response(self, response: _Response, choices: list[Json], path: str) -> None:
        """Add what the model answered; the same response stands in the event of each of its calls."""
        message = choices[0].get("message") if isinstance(choices[0], dict) else None
        if not isinstance(message, dict):
            raise InvalidRecordError(f"{path}[0].message", "a message", describe_value(message))
        known = self._responses.setdefault(text_of(response.id), [])
        if message in known:  # some servers give all their responses one id
            return
        known.append(message)
        self.model = self.model or text_of(response.model)
        if len(choices) > 1:
            self.dropped["other choices of responses"] += len(choices) - 1
        self.messages.append(({**message, "role": "assistant"}, f"{path}[0].message"))

    def _add_observation(self, event: Event, path: str) -> None:
        call_id = None
        if bytes(event.tool_call_metadata) != b"null":
            call_id = text_of(_parse_answer(event.tool_call_metadata, f"{path}.tool_call_metadata").tool_call_id)
        call_id = call_id or self._waiting.get(name_of(event.cause))
        content = event.content if event.content is not None else event.message
        said = {"role": "tool", "tool_call_id": call_id} if call_id else {"role": "user"}
        self.messages.append(({**said, "content": content}, path))
