"""Two eval stores and, row by row, the records made of them: the sample, and one of everything that it lacks."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.builders import call, case_result, result, turn, write_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.builders import Json

__all__ = [
    "SAMPLE",
    "TOOLS",
    "completion",
    "conversation",
    "eval_set",
    "make_store",
    "pairs",
    "prompt",
    "score",
    "split_pair",
    "tools",
    "traces",
]

SAMPLE = Path(__file__).parents[2] / "data"
TOOLS = SAMPLE / "tools/airline.json"

CASES: dict[str, tuple[str, list[str]]] = {
    "plain": ("Be brief.", ["What is 2 + 2?"]),
    "tools": ("Use the tools.", ["Where is order 7?"]),
    "late": ("", ['Cancel it, naïvely: “ü”, 🛫, \\ and "quotes"\nplease.']),
    "users": ("Be kind.", ["First.", "Second."]),
    "cut": ("Use the tools.", ["Look and stop."]),
    "shared": ("Use the tools.", ["Which colour?"]),
    "other": ("Be brief.", ["What is 3 + 3?"]),
}


def make_store(root: Path) -> Path:
    """Write an eval store of three runs: one in which no call occurs, then parallel calls, reasoning, late columns."""
    (root / "results").mkdir(parents=True)
    (root / "sets").mkdir()
    cases = [
        {"id": case_id, "name": case_id, "system_prompt": system, "user_messages": users}
        for case_id, (system, users) in CASES.items()
    ]
    eval_set = {"id": "made", "name": "made", "cases": cases}
    (root / "sets/made.json").write_text(json.dumps(eval_set), encoding="utf-8")
    for number, run in enumerate(_runs()):
        write_document(root / f"results/{number}.json", *run, eval_set_id="made")
    return root


def _runs() -> list[list[Json]]:
    thinking = {"type": "thinking", "thinking": "Two calls at once.", "signature": None}
    parallel = [
        call("find_order", {"id": 7, "deep": {"b": [1, "2", None, 2.5], "a": {}}, "note": None}, "call-a"),
        call("find_order", {"id": "seven", "ünï": "“ü”\n"}, "call-b"),
    ]
    found = [result("Order 7: shipped.", "call-a"), result("No such order.", "call-b", is_error=True)]
    asked = turn("Let me look.", thinking, calls=parallel, results=found)

    def looked_up(call_id: str) -> Json:
        return turn("", calls=[call("look", {"at": "it"}, call_id)], results=[result("blue", call_id)])

    looked = turn(calls=[call("look", {}, "call-c")], results=[result("A\nB", "call-c")], index=1)
    return [
        [
            case_result("plain", turn("4")),
            case_result("other", turn("7"), scores=[0.0], verdict="fail"),
            case_result("users", turn("Hello."), scores=[0.5]),
        ],
        [
            case_result("plain", turn("Five, I think."), scores=[0.0, 0.5], verdict="fail"),
            case_result("tools", asked, looked, turn("It was shipped.", index=2)),
            case_result("late", turn(calls=[call("cancel", {"all": True})], results=[result()]), final="Cancelled."),
            case_result("users", turn("Good day.", {"type": "thinking", "thinking": "Kind.", "signature": None})),
        ],
        [
            case_result("other", turn(""), final="6"),
            case_result("tools", turn("I cannot know."), scores=[0.25], verdict="fail"),
            case_result("cut", turn(calls=[call("look", {"at": 1.5})], results=[result()]), scores=[0.0]),
            case_result("shared", looked_up("call-1"), turn("It is blue.", index=1)),
            case_result("late", turn("No."), scores=[0.0], verdict="fail"),
            case_result("shared", looked_up("call-2"), turn("Red.", index=1), scores=[0.0], verdict="fail"),
        ],
    ]


def traces(store: Path) -> list[Json]:
    """Every case result of a store, in the order in which an export writes them."""
    return [
        case
        for path in sorted((store / "results").rglob("*.json"))
        for case in json.loads(path.read_text(encoding="utf-8"))["case_results"]
    ]


def eval_set(store: Path) -> str:
    """The eval set of all results of a store."""
    documents = (json.loads(path.read_text(encoding="utf-8")) for path in (store / "results").rglob("*.json"))
    (name,) = {document["eval_set_id"] for document in documents}
    return str(name)


def tools() -> list[Json]:
    definitions: list[Json] = json.loads(TOOLS.read_text(encoding="utf-8"))
    return definitions


def score(trace: Json) -> float:
    values = [metric["score"]["value"] for metric in trace["metric_results"]]
    return float(sum(values)) / len(values) if values else 0.0


def prompt(store: Path, trace: Json) -> list[Json]:
    """The system message, where there is one, and the user's messages."""
    case = _cases(store)[trace["case_id"]]
    system = [{"role": "system", "content": case["system_prompt"]}] if case["system_prompt"] else []
    return [*system, *({"role": "user", "content": text} for text in case["user_messages"])]


def completion(trace: Json) -> list[Json]:
    """What the agent said and did, as messages with arguments as they were recorded."""
    messages = [message for turn in trace["invocation"]["turns"] for message in _turn(turn)]
    final = trace["invocation"]["final_response"]
    if final and (not messages or messages[-1]["role"] == "tool"):
        messages.append({"role": "assistant", "content": final})
    elif final and messages[-1]["role"] == "assistant" and not messages[-1]["content"]:
        messages[-1]["content"] = final
    while messages and messages[-1]["role"] == "tool":
        messages.pop()
    return messages


def conversation(store: Path, trace: Json) -> list[Json]:
    return prompt(store, trace) + completion(trace)


def pairs(store: Path) -> list[tuple[Json, Json]]:
    """The first best and the last worst run of every case that has two of different scores."""
    cases: dict[str, list[Json]] = {}
    for trace in traces(store):
        cases.setdefault(trace["case_id"], []).append(trace)
    return list(_pairs(cases))


def _pairs(cases: dict[str, list[Json]]) -> Iterator[tuple[Json, Json]]:
    for runs in cases.values():
        chosen = max(runs, key=score)
        rejected = min(reversed(runs), key=score)
        if score(chosen) > score(rejected) and completion(chosen) != completion(rejected):
            yield chosen, rejected


def split_pair(store: Path, chosen: Json, rejected: Json) -> tuple[list[Json], list[Json], list[Json]]:
    """The prompt that both sides share, up to where both let the agent speak, and their completions."""
    sides = conversation(store, chosen), conversation(store, rejected)
    shared = 0
    while shared < min(map(len, sides)) and _without_ids(sides[0][shared]) == _without_ids(sides[1][shared]):
        shared += 1
    both = list(zip(*sides, strict=False))[: shared + 1]
    start = max(place for place, pair in enumerate(both) if all(message["role"] == "assistant" for message in pair))
    return sides[0][:start], sides[0][start:], sides[1][start:]


def _without_ids(message: Json) -> Json:
    calls = [{**call, "id": None} for call in message.get("tool_calls", [])]
    return {**message, "tool_calls": calls, "tool_call_id": None}


@functools.cache
def _cases(store: Path) -> dict[str, Json]:
    return {
        case["id"]: case
        for path in (store / "sets").glob("*.json")
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]
    }


def _turn(turn: Json) -> list[Json]:
    blocks = turn["assistant_message"]["content"]
    message: dict[str, Any] = {"role": "assistant", "content": _join(blocks, "text")}
    if reasoning := _join(blocks, "thinking"):
        message["reasoning_content"] = reasoning
    if turn["tool_calls"]:
        message["tool_calls"] = [
            {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
            for call in turn["tool_calls"]
        ]
    names = {call["id"]: call["name"] for call in turn["tool_calls"]}
    results = [
        {
            "role": "tool",
            "content": _join(result["content"], "text"),
            "tool_call_id": result["tool_call_id"],
            "name": names[result["tool_call_id"]],
        }
        for result in turn["tool_results"]
    ]
    return [message, *results]


def _join(blocks: list[Json], kind: str) -> str:
    return "".join(block[kind] for block in blocks if block["type"] == kind)
