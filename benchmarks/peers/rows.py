"""Records made row by row from case results that are plain dicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from benchmarks.peers.task import Task

__all__ = ["records"]

Json = dict[str, Any]


@dataclass(slots=True)
class _Case:
    """The best and the worst run of a case so far."""

    highest: float
    best: Json
    lowest: float
    worst: Json
    runs: int = 1


def records(
    task: Task, loads: Callable[[bytes], Any], sorted_text: Callable[[Any], str], text: Callable[[Any], str]
) -> Iterator[Json]:
    """Yield the records that a task asks for.

    Args:
        task: What to read and to make.
        loads: Decodes JSON.
        sorted_text: Encodes JSON compactly with sorted keys.
        text: Encodes JSON compactly.
    """
    traces = _case_results(task, loads)
    if task.threshold > 0:
        traces = (trace for trace in traces if _score(trace) >= task.threshold)
    if task.record == "dpo":
        yield from _pairs(traces, sorted_text)
    elif task.record == "trl":
        cases = {case["id"]: case for case in loads(task.prompts.read_bytes())["cases"]}
        yield from (_trl(trace, cases[trace["case_id"]], text) for trace in traces)
    else:
        yield from (_chatml(trace, sorted_text) for trace in traces)


def _case_results(task: Task, loads: Callable[[bytes], Any]) -> Iterator[Json]:
    if task.source.is_dir():
        for document in task.documents:
            yield from loads(document.read_bytes())["case_results"]
        return
    with task.source.open("rb") as lines:
        for line in lines:
            yield loads(line)


def _score(trace: Json) -> float:
    values = [metric["score"]["value"] for metric in trace["metric_results"]]
    return sum(values) / len(values) if values else 0.0


def _spoken(content: list[Json]) -> str:
    return "".join([block["text"] for block in content if block["type"] == "text"])


def _call(call: Json, text: Callable[[Any], str]) -> Json:
    function = {"name": call["name"], "arguments": text(call["arguments"])}
    return {"id": call["id"], "type": "function", "function": function}


def _metadata(trace: Json) -> Json:
    invocation = trace["invocation"]
    return {
        "case_id": trace["case_id"],
        "score": _score(trace),
        "model_id": invocation["model"]["model_id"],
        "turns": len(invocation["turns"]),
    }


def _chatml(trace: Json, text: Callable[[Any], str]) -> Json:
    messages: list[Json] = [{"role": "system", "content": ""}]
    for turn in trace["invocation"]["turns"]:
        if turn["turn_index"] == 0:
            messages.append({"role": "user", "content": ""})
        message: Json = {"role": "assistant", "content": _spoken(turn["assistant_message"]["content"])}
        if turn["tool_calls"]:
            message["tool_calls"] = [_call(call, text) for call in turn["tool_calls"]]
        messages.append(message)
    final = trace["invocation"]["final_response"]
    if final is not None:
        if messages[-1]["role"] != "assistant":
            messages.append({"role": "assistant", "content": final})
        elif not messages[-1]["content"]:
            messages[-1]["content"] = final
    return {"messages": messages, "metadata": _metadata(trace)}


def _trl(trace: Json, case: Json, text: Callable[[Any], str]) -> Json:
    messages: list[Json] = []
    if case["system_prompt"]:
        messages.append({"role": "system", "content": case["system_prompt"]})
    messages += [{"role": "user", "content": message} for message in case["user_messages"]]
    for turn in trace["invocation"]["turns"]:
        message: Json = {"role": "assistant", "content": _spoken(turn["assistant_message"]["content"])}
        if turn["tool_calls"]:
            message["tool_calls"] = [_call(call, text) for call in turn["tool_calls"]]
        messages.append(message)
        names = {call["id"]: call["name"] for call in turn["tool_calls"]}
        for result in turn["tool_results"]:
            identity = result["tool_call_id"]
            content = _spoken(result["content"])
            messages.append({"role": "tool", "content": content, "tool_call_id": identity, "name": names.get(identity)})
    if final := trace["invocation"]["final_response"]:
        if messages[-1]["role"] != "assistant":
            messages.append({"role": "assistant", "content": final})
        elif not messages[-1]["content"]:
            messages[-1]["content"] = final
    while messages[-1]["role"] == "tool":
        messages.pop()
    return {"messages": messages, "metadata": _metadata(trace)}


def _pairs(traces: Iterable[Json], text: Callable[[Any], str]) -> Iterator[Json]:
    """Pair the first best with the last worst record of every case, holding these two."""
    cases: dict[str, _Case] = {}
    for trace in traces:
        score = _score(trace)
        case = cases.get(trace["case_id"])
        if case is None:
            record = _chatml(trace, text)
            cases[trace["case_id"]] = _Case(score, record, score, record)
            continue
        case.runs += 1
        if score > case.highest:
            case.highest, case.best = score, _chatml(trace, text)
        if score <= case.lowest:
            case.lowest, case.worst = score, _chatml(trace, text)
    for case_id, case in cases.items():
        if case.runs > 1:
            yield {"case_id": case_id, "chosen": case.best, "rejected": case.worst}
