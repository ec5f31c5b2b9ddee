"""The records for trainers made row by row in plain Python, from the rules and not from the columns."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.rowwise import score

Json = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What an eval set says of a case."""

    system_prompt: str = ""
    user_messages: tuple[str, ...] = ()


def messages(trace: Json, case: Case, target: str = "trl", reasoning: str = "field") -> list[Json]:
    """Build the conversation of a trace; tool messages at its end are left out."""
    reasoning = {"openai": "drop", "llamafactory": "think"}.get(target, reasoning)
    spoken: list[Json] = []
    turns = trace["invocation"]["turns"]
    asked = _asked(turns, case)
    if case.system_prompt:
        spoken.append({"role": "system", "content": case.system_prompt})
    if not turns:
        spoken += [{"role": "user", "content": text} for text in case.user_messages]
    results = _bound_results(turns)
    for place, turn in enumerate(turns):
        spoken += [{"role": "user", "content": text} for text in asked.get(place, [])]
        blocks = turn["assistant_message"]["content"]
        message: Json = {"role": "assistant", "content": _texts(blocks)}
        thoughts = [block["thinking"] for block in blocks if block["type"] == "thinking"]
        if thoughts:
            message["thoughts"] = "".join(thoughts)
        if turn["tool_calls"]:
            message["tool_calls"] = [_call(call, target) for call in turn["tool_calls"]]
        spoken.append(message)
        spoken += [_result(result, call, target) for result, call in results[place]]
    _end(spoken, trace["invocation"].get("final_response"))
    return [_finished(message, target, reasoning) for message in spoken]


def _end(spoken: list[Json], final: str | None) -> None:
    """Append the final response or fill it in, and leave out what nothing follows."""
    if final:
        if (spoken and spoken[-1]["role"] == "tool") or not any(m["role"] == "assistant" for m in spoken):
            spoken.append({"role": "assistant", "content": final})
        elif spoken[-1]["role"] == "assistant" and spoken[-1]["content"] == "":
            spoken[-1]["content"] = final
    while spoken and spoken[-1]["role"] != "assistant":
        spoken.pop()


def _asked(turns: list[Json], case: Case) -> dict[int, list[str]]:
    """Return the user's messages before each turn: the k-th stands before the k-th turn with index 0."""
    opening = [place for place, turn in enumerate(turns) if turn["turn_index"] == 0] or [0]
    asked: dict[int, list[str]] = {}
    for number, text in enumerate(case.user_messages):
        asked.setdefault(opening[min(number, len(opening) - 1)], []).append(text)
    return asked


def prompt_length(spoken: list[Json]) -> int:
    """Return how many messages precede the first of the assistant's that answers a user, else its first."""
    answers = [place for place, message in enumerate(spoken) if message["role"] == "assistant"]
    after_user = [place for place in answers if any(message["role"] == "user" for message in spoken[:place])]
    return (after_user or answers or [len(spoken)])[0]


def trl(trace: Json, case: Case, eval_set_id: str, reasoning: str = "field") -> Json:
    return {"messages": messages(trace, case, "trl", reasoning), "metadata": metadata(trace, eval_set_id)}


def metadata(trace: Json, eval_set_id: str) -> Json:
    invocation = trace["invocation"]
    return {
        "case_id": trace["case_id"],
        "eval_set_id": eval_set_id,
        "run": None,
        "score": score(trace),
        "model_id": invocation["model"]["model_id"],
        "turns": len(invocation["turns"]),
    }


def alternating(trace: Json, case: Case) -> list[Json] | None:
    """Return the conversation as LLaMA-Factory reads it, None if it has no place there."""
    merged, reason, _ = alternation(messages(trace, case, "llamafactory"))
    return None if reason else merged


def alternation(spoken: list[Json]) -> tuple[list[Json], str | None, str]:
    """Return messages in alternation, the rule of LLaMA-Factory that they break, and the system prompt."""
    roles = [message["role"] for message in spoken]
    opening = next((place for place, role in enumerate(roles) if role != "system"), len(roles))
    system = "\n\n".join(message["content"] for message in spoken[:opening])
    runs: list[list[Json]] = []
    for message in spoken:
        if message["role"] == "system":
            continue
        if runs and (runs[-1][0]["role"] == "assistant") == (message["role"] == "assistant"):
            runs[-1].append(message)
        else:
            runs.append([message])
    merged = [_merged(run) for run in runs]
    rules = {
        "no_answer": not merged,
        "system_message_inside": "system" in roles[opening:],
        "starts_with_assistant": bool(merged) and merged[0]["from"] != "human",
        # a call, and what the assistant says before or after it without waiting for the result
        "adjacent_tool_calls": any(len(run) > 1 and any("tool_calls" in message for message in run) for run in runs),
        "empty_last_message": bool(merged) and merged[-1]["value"] == "",
    }
    return merged, next((rule for rule, is_broken in rules.items() if is_broken), None), system


def answered(spoken: list[Json]) -> bool:
    """Whether every call that something follows is answered, once, and nothing else is."""
    for place, message in enumerate(spoken):
        if message["role"] != "assistant" or place == len(spoken) - 1:
            continue
        results: list[str] = []
        for following in spoken[place + 1 :]:
            if following["role"] != "tool":
                break
            results.append(following["tool_call_id"])
        calls = [call["id"] for call in message.get("tool_calls", [])]
        if sorted(calls) != sorted(results) or len(set(calls)) < len(calls):
            return False
    return True


def _merged(run: list[Json]) -> Json:
    calls = [call for message in run for call in message.get("tool_calls", [])]
    if calls:
        functions = [call["function"] for call in calls]
        return {"from": "function_call", "value": [{"name": f["name"], "arguments": f["arguments"]} for f in functions]}
    roles = {message["role"] for message in run}
    speaker = "gpt" if "assistant" in roles else "observation" if "tool" in roles else "human"
    return {"from": speaker, "value": "\n\n".join(m["content"] for m in run if m["content"])}


def _finished(message: Json, target: str, reasoning: str) -> Json:
    thoughts = message.pop("thoughts", None)
    if thoughts is not None and reasoning == "field":
        message = {"role": message["role"], "content": message["content"], "reasoning_content": thoughts, **message}
    if thoughts is not None and reasoning == "think":
        message["content"] = f"<think>{thoughts}</think>{message['content']}"
    if target == "openai" and "tool_calls" in message and message["content"] == "":
        del message["content"]
    return message


def _call(call: Json, target: str) -> Json:
    arguments = _within_64_bits(call["arguments"])
    if target == "openai":
        arguments = json.dumps(arguments)
    return {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": arguments}}


def _within_64_bits(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {key: _within_64_bits(item) for key, item in value.items()}
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value)
    return [_within_64_bits(item) for item in value] if isinstance(value, list) else value


def _bound_results(turns: list[Json]) -> list[list[tuple[Json, Json]]]:
    """Return for each turn the results of its calls, each with its call; a result that answers no call is in none."""
    bound: list[list[tuple[Json, Json]]] = [[] for _ in turns]
    later = []
    answered: dict[tuple[int, str], int] = {}
    for stood, turn in enumerate(turns):
        for result in turn["tool_results"]:
            name = result["tool_call_id"]
            holders = [place for place, other in enumerate(turns) if any(c["id"] == name for c in other["tool_calls"])]
            if not name:
                holders = [stood]
            before = [place for place in holders if place <= stood]
            if not holders:
                continue
            place = before[-1] if before else holders[0]
            calls = [call for call in turns[place]["tool_calls"] if not name or call["id"] == name]
            count = answered.get((place, name), 0)
            answered[place, name] = count + 1
            if not name and count >= len(calls):
                continue
            pair = (result, calls[min(count, len(calls) - 1)])
            if place == stood:
                bound[place].append(pair)
            else:
                later.append((place, pair))
    for place, pair in later:
        bound[place].append(pair)
    return bound


def _result(result: Json, call: Json, target: str) -> Json:
    message = {"role": "tool", "content": _texts(result["content"]), "tool_call_id": result["tool_call_id"]}
    if target != "openai":
        message["name"] = call["name"]
    return message


def _texts(blocks: list[Json]) -> str:
    return "".join(block["text"] for block in blocks if block["type"] == "text")
