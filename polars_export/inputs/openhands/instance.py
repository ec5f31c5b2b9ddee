"""An instance of OpenHands as a trace: events to messages."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from polars_export.inputs.side_files import json_beside, resolved_in
from polars_export.json_values import describe_value
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.json_text import decode_arguments
from polars_export.messages.normalise import normalise
from polars_export.messages.records import Trace
from polars_export.messages.tool_schemas import tool_schemas
from polars_export.messages.values import name_of, object_of, text_of

if TYPE_CHECKING:
    from polars_export.inputs.record_decoder import RecordPlace
    from polars_export.json_values import Json

__all__ = ["Instance", "understand"]


class Instance(Struct, gc=False):
    """What is needed of an instance."""

    instance_id: Any = None
    history: Any = None
    metadata: Any = None
    error: Any = None
    report: Any = None
    test_result: Any = None


def understand(record: Instance, place: RecordPlace) -> Trace:
    """Return the trace of an instance.

    Raises:
        InvalidRecordError: The history is none.
    """
    path = f"{place.path}.history"
    if not isinstance(record.history, list):
        raise InvalidRecordError(path, "an array of events", describe_value(record.history))
    events = _Events()
    for number, event in enumerate(_flat(record.history)):
        if not isinstance(event, dict):
            raise InvalidRecordError(f"{path}[{number}]", "an event", describe_value(event))
        events.add(event)
    messages, dropped = normalise(events.messages, path)
    decode_arguments(messages, path)
    case = name_of(record.instance_id) or place.name
    trace = Trace(case, messages, dropped=dropped, dropped_kinds=dict(events.dropped))
    model = text_of(object_of(object_of(record.metadata).get("llm_config")).get("model"))
    trace.model_id = model or events.model
    trace.tools = tool_schemas(events.tools, f"{path}.args.tools")
    trace.error = text_of(record.error)
    resolved = _resolved(record, place.source, case)
    if resolved is not None:
        trace.verdict = "pass" if resolved else "fail"
        trace.metrics = [("resolved", float(resolved))]
    return trace


def _flat(history: list[Json]) -> list[Json]:
    """Return events that older versions wrote as pairs of an action and an observation."""
    return [event for entry in history for event in (entry if isinstance(entry, list) else [entry])]


def _resolved(record: Instance, source: str, case: str) -> bool | None:
    for report in (record.report, object_of(record.test_result).get("report"), record.test_result):
        if (resolved := resolved_in(report, case)) is not None:
            return resolved
    return resolved_in(json_beside(source, "report.json"), case) if source != "-" else None


class _Events:
    """Makes messages of events.

    Attributes:
        messages: Those that were made, in OpenAI's spelling.
        tools: The tools of the system event; None without.
        model: The model of the first response.
        dropped: What has no place, by kind.
    """

    def __init__(self) -> None:
        self.messages: list[Json] = []
        self.tools: Json = None
        self.model: str | None = None
        self.dropped: Counter[str] = Counter()
        self._responses: set[str] = set()
        self._waiting: dict[str, str] = {}  # by the id of an action without a response, the id of the call made of it

    def add(self, event: dict[str, Json]) -> None:
        """Add the next event."""
        if "observation" in event:
            self._add_observation(event)
        elif event.get("source") == "user" and event.get("action") == "message":
            self._add_said("user", event)
        elif event.get("action") == "system":
            self._add_said("system", event)
            self.tools = object_of(event.get("args")).get("tools")
        elif harness := _HARNESS.get(text_of(event.get("action")) or ""):
            self.dropped[harness] += 1
        elif event.get("source") == "agent":
            self._add_action(event)
        else:
            self.dropped["events of other kinds"] += 1

    def _add_said(self, role: str, event: dict[str, Json]) -> None:
        args = object_of(event.get("args"))
        content = args.get("content", event.get("message", event.get("content")))
        self.messages.append({"role": role, "content": content})
        images = args.get("image_urls")
        if isinstance(images, list):
            self.dropped["images of users"] += len(images)

    def _add_action(self, event: dict[str, Json]) -> None:
        response = object_of(object_of(event.get("tool_call_metadata")).get("model_response"))
        choices = response.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            self._add_response(response, choices[0].get("message"), event)
            return
        args = object_of(event.get("args"))
        action = text_of(event.get("action")) or "action"
        if action == "message":
            self.messages.append({"role": "assistant", "content": args.get("content", event.get("message"))})
            return
        call_id = f"event-{event.get('id')}"
        self._waiting[str(event.get("id"))] = call_id
        self.dropped["calls made of actions"] += 1
        call = {"id": call_id, "name": action, "arguments": {k: v for k, v in args.items() if k != "thought"}}
        self.messages.append({"role": "assistant", "content": args.get("thought") or "", "tool_calls": [call]})

    def _add_response(self, response: dict[str, Json], message: Json, event: dict[str, Json]) -> None:
        """Add what the model answered; the same response stands in the event of each of its calls."""
        key = text_of(response.get("id")) or str(object_of(event.get("tool_call_metadata")).get("tool_call_id"))
        if key in self._responses:
            return
        self._responses.add(key)
        self.model = self.model or text_of(response.get("model"))
        self.messages.append({**object_of(message), "role": "assistant"})

    def _add_observation(self, event: dict[str, Json]) -> None:
        content = event.get("content", event.get("message"))
        if harness := _HARNESS.get(text_of(event.get("observation")) or ""):
            self.dropped[harness] += 1
            return
        call_id = text_of(object_of(event.get("tool_call_metadata")).get("tool_call_id"))
        call_id = call_id or self._waiting.get(str(event.get("cause")))
        if call_id:
            self.messages.append({"role": "tool", "content": content, "tool_call_id": call_id})
        else:
            self.messages.append({"role": "user", "content": content})


_HARNESS = {
    "recall": "events of recalled context",
    "agent_state_changed": "events of the agent's state",
    "change_agent_state": "events of the agent's state",
    "condensation": "condensations of the history",
    "condensation_request": "condensations of the history",
    "null": "empty events",
}
"""Actions and observations that are no part of the conversation, and as what they are counted."""
