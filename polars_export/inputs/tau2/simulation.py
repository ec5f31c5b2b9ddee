"""A simulation of tau2-bench as a trace."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from polars_export.inputs.side_files import json_beside
from polars_export.json_values import describe_value, parse
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.json_text import decode_arguments
from polars_export.messages.normalise import normalise_answer
from polars_export.messages.records import Trace
from polars_export.messages.scores import ODD_SCORES, finite_score
from polars_export.messages.tool_schemas import tool_schemas
from polars_export.messages.values import name_of, object_of, text_of

if TYPE_CHECKING:
    from polars_export.inputs.record_decoder import RecordPlace
    from polars_export.json_values import Json

__all__ = ["Simulation", "understand"]

_STOPS = {"user_stop": "stop", "agent_stop": "stop", "max_steps": "length"}
_ROLES = ("system", "user", "assistant", "tool")
_KEPT = ("role", "content", "tool_calls", "reasoning", "reasoning_content")


class Simulation(Struct, gc=False):
    """What is needed of a simulation."""

    id: Any = None
    task_id: Any = None
    trial: Any = None
    messages: Any = None
    reward_info: Any = None
    termination_reason: Any = None
    policy: Any = None
    ticks: Any = None


def understand(record: Simulation, place: RecordPlace) -> Trace:
    """Return the trace of a simulation.

    The policy is the system prompt. What the user called is counted, and so are the results of that: these calls are
    not the agent's. The
    greeting with which a simulation begins, or the history of its task, was not written by the model.

    Raises:
        InvalidRecordError: Something in it is not what it should be.
    """
    path = f"{place.path}.messages"
    if record.messages is None and record.ticks is not None:
        raise InvalidRecordError(path, "a run of messages", "a voice run (ticks), which is not read")
    if not isinstance(record.messages, list):
        raise InvalidRecordError(path, "an array of messages", describe_value(record.messages))
    around = _parsed(place.header) if place.header else object_of(json_beside(place.source, "../results.json"))
    info = object_of(around.get("info"))
    environment, case = object_of(info.get("environment_info")), name_of(record.task_id) or place.name
    dropped_kinds: Counter[str] = Counter()
    items = [_agents_own(item, f"{path}[{number}]", dropped_kinds) for number, item in enumerate(record.messages)]
    task = _task_of(around, case)
    before = _opening(record, environment, task, dropped_kinds)
    history = _history(record.messages, task)
    before += [item for item in items[:history] if item]
    messages, dropped, context = normalise_answer((before, path), ([item for item in items[history:] if item], path))
    decode_arguments(messages, path)
    trace = Trace(case, messages, dropped=dropped)
    trace.eval_set_id = text_of(environment.get("domain_name"))
    trace.run = name_of(record.id) or name_of(record.trial)
    given = object_of(record.reward_info).get("reward")
    reward = finite_score(given, f"{place.path}.reward_info.reward")
    trace.metrics = [] if reward is None else [("reward", reward)]
    dropped_kinds[ODD_SCORES] += reward is None and given is not None
    trace.model_id = text_of(object_of(info.get("agent_info")).get("llm"))
    trace.tools = tool_schemas(_functions(environment.get("tool_defs")), "$.info.environment_info.tool_defs")
    trace.context = context
    reason = text_of(record.termination_reason)
    trace.stop_reason = _STOPS.get(reason or "")
    trace.error = reason if reason not in _STOPS else None
    trace.dropped_kinds = {kind: count for kind, count in dropped_kinds.items() if count}
    return trace


@lru_cache(maxsize=4)
def _parsed(header: str) -> dict[str, Json]:
    return object_of(parse(header.encode()))


def _functions(tool_defs: Json) -> Json:
    """Return tools as functions: they stand by their names, with `doc` and `params`."""
    if not isinstance(tool_defs, dict):
        return tool_defs
    return [
        {"name": name, "description": object_of(tool).get("doc"), "parameters": object_of(tool).get("params")}
        for name, tool in tool_defs.items()
    ]


def _task_of(around: dict[str, Json], case: str) -> dict[str, Json]:
    """Return the task of a case, as it stands in the document; an empty one if it does not."""
    tasks = around.get("tasks")
    named = (object_of(task) for task in tasks) if isinstance(tasks, list) else ()
    return next((task for task in named if name_of(task.get("id")) == case), {})


def _opening(
    record: Simulation, environment: dict[str, Json], task: dict[str, Json], dropped_kinds: Counter[str]
) -> list[Json]:
    """Return the policy as a system message and, of a run without a user, the ticket of its task."""
    spoken: list[Json] = []
    if policy := text_of(record.policy) or text_of(environment.get("policy")):
        spoken.append({"role": "system", "content": policy})
        dropped_kinds["prompts made of a policy"] += 1
    if not any(isinstance(item, dict) and item.get("role") == "user" for item in record.messages):
        ticket = text_of(task.get("ticket"))
        spoken += [{"role": "user", "content": ticket}] if ticket else []
    return spoken


def _agents_own(item: Json, path: str, dropped_kinds: Counter[str]) -> Json:
    """Return what the agent saw or said of a message; None for the result of a call that is the user's own."""
    if not isinstance(item, dict):
        raise InvalidRecordError(path, "an object", describe_value(item))
    role = item.get("role")
    if role not in _ROLES:
        raise InvalidRecordError(f"{path}.role", f"one of {', '.join(_ROLES)}", describe_value(role))
    message = {key: item[key] for key in _KEPT if item.get(key) is not None}
    if role == "tool":
        if item.get("requestor") == "user":
            dropped_kinds["results of the user's own calls"] += 1
            return None
        return message | {"tool_call_id": item.get("id"), "is_error": item.get("error") is True}
    if role == "user" and (calls := message.pop("tool_calls", None)):
        dropped_kinds["calls of the user's own"] += len(calls) if isinstance(calls, list) else 1
        return message if message.get("content") else None
    return message


def _history(messages: list[Json], task: dict[str, Json]) -> int:
    """Return how many of the first messages no model wrote in this run.

    A task may begin with a history; without one the simulation begins with a greeting that is always the same.
    """
    if history := object_of(task.get("initial_state")).get("message_history"):
        return len(history) if isinstance(history, list) else 0
    first = object_of(messages[0]) if messages else {}
    is_canned = first.get("role") == "assistant" and not (first.get("usage") or first.get("raw_data"))
    return int(is_canned and not first.get("tool_calls"))
