"""Preference pairs made row by row in plain Python, from the rules and not from the columns."""

from __future__ import annotations

import json
from typing import Any

from tests.rowwise_trainers import alternation, answered

Json = dict[str, Any]


def trl(chosen: list[Json], rejected: list[Json], *, first: bool) -> Json | str:
    """Return the record of a pair, or why there is none."""
    start = prompt_length(chosen, rejected)
    if start is None:
        return "different_prompts"
    left, right = _completions(chosen, rejected, start, first=first)
    if without_ids(left) == without_ids(right):
        return "identical"
    return {"prompt": written(chosen[:start]), "chosen": written(left), "rejected": written(right)}


def openai(chosen: list[Json], rejected: list[Json], *, first: bool) -> Json | str:
    """Return the record of a pair of conversations in OpenAI's words, or why there is none."""
    made = trl(chosen, rejected, first=first)
    if isinstance(made, str):
        return made
    if any(len(made[side]) > 1 for side in ("chosen", "rejected")):
        return "not_single_message"
    if not answered([*made["prompt"], {"role": "assistant", "content": ""}]):
        return "broken calls"
    return {
        "input": {"messages": made["prompt"]},
        "preferred_output": made["chosen"],
        "non_preferred_output": made["rejected"],
    }


def llamafactory(chosen: list[Json], rejected: list[Json], *, first: bool) -> Json | str:
    """Return the record of a pair of conversations in LLaMA-Factory's words, or why there is none."""
    start = prompt_length(chosen, rejected)
    if start is None:
        return "different_prompts"
    sides = [side[: start + 1] if first else side for side in (chosen, rejected)]
    while start and chosen[start - 1]["role"] == "assistant":
        start -= 1  # what the assistant says before is one message with what follows
    prompts = [alternation(side[:start])[0] for side in sides]
    completions = [alternation(side[start:])[0] for side in sides]
    if completions[0] == completions[1]:
        return "identical"
    broken = [reason for reason in (alternation(side)[1] for side in sides) if reason]
    if broken:
        return broken[0]
    if any(len(completion) > 1 for completion in completions):
        return "not_single_message"
    return {
        "conversations": prompts[0],
        "chosen": completions[0][0],
        "rejected": completions[1][0],
        "system": alternation(chosen)[2],
        "tools": "",
    }


def prompt_length(chosen: list[Json], rejected: list[Json]) -> int | None:
    """Return how many messages the prompt of a pair has, None where the sides share none."""
    shared = 0
    while shared < min(len(chosen), len(rejected)) and without_ids([chosen[shared]]) == without_ids([rejected[shared]]):
        shared += 1
    both = list(zip(chosen, rejected, strict=False))[: shared + 1]
    starts = [place for place, sides in enumerate(both) if all(map(_is_answer, sides))]
    users = [message for message in chosen + rejected if message["role"] == "user"]
    if not starts or (users and not any(message["role"] == "user" for message in chosen[: starts[-1]])):
        return None
    return starts[-1]


def _is_answer(message: Json) -> bool:
    return message["role"] == "assistant" and not message["context"]


def _completions(chosen: list[Json], rejected: list[Json], start: int, *, first: bool) -> tuple[list[Json], list[Json]]:
    end = start + 1 if first else None
    return chosen[start:end], rejected[start:end]


def written(messages: list[Json]) -> list[Json]:
    return [{key: value for key, value in message.items() if key != "context"} for message in messages]


def without_ids(messages: list[Json]) -> list[Json]:
    """Return messages as they are compared: arguments as they are spelled, and without the ids of calls."""
    compared = []
    for message in written(messages):
        calls = [
            (call["function"]["name"], json.dumps(call["function"]["arguments"]))
            for call in message.get("tool_calls", [])
        ]
        rest = {key: value for key, value in message.items() if key not in {"tool_calls", "tool_call_id"}}
        compared.append({**rest, "calls": calls})
    return compared
