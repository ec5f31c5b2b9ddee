"""Make eval results for benchmarks from the real sample: seeded, distinct cases, several runs each, varied text."""

from __future__ import annotations

import argparse
import json
import random
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RUNS_PER_CASE", "case_results", "prompts", "short_case_results"]

Json = dict[str, Any]

SAMPLE = Path(__file__).parents[1] / "data"
RUNS_PER_CASE = 4
PROMPT_PARAGRAPHS = 10  # of the sample's system prompt: about 1.5 kB


def case_results(seed: int | str = 0, first_case: int = 0) -> Iterator[Json]:
    """Yield case results without end, `RUNS_PER_CASE` runs of one case after the other.

    Each is a case result of the sample with its words in another order and other call ids (so that neither compression
    nor caches find the same text twice), another number of turns and other scores.
    """
    rng = random.Random(seed)
    number = first_case * RUNS_PER_CASE
    while True:
        case = msgspec.json.decode(rng.choice(_originals()))
        case["case_id"] = _case_id(number // RUNS_PER_CASE)
        invocation = case["invocation"]
        del invocation["turns"][rng.randint(1, 30) :]
        for turn in invocation["turns"]:
            _vary(turn, rng)
        if invocation["final_response"]:
            invocation["final_response"] = _shuffled(invocation["final_response"], rng)
        for metric in case["metric_results"]:
            metric["score"]["value"] = round(rng.random(), 3)
        yield case
        number += 1


def short_case_results(seed: int | str = 0, first_case: int = 0) -> Iterator[Json]:
    """Yield case results of one short turn without end, `RUNS_PER_CASE` runs of one case after the other."""
    rng = random.Random(seed)
    number = first_case * RUNS_PER_CASE
    while True:
        content = [{"type": "text", "text": f"Answer {rng.getrandbits(32)}."}]
        turn = {"turn_index": 0, "assistant_message": {"content": content}, "tool_calls": [], "tool_results": []}
        yield {
            "case_id": _case_id(number // RUNS_PER_CASE),
            "invocation": {"turns": [turn], "final_response": None, "model": {"model_id": "gpt-4o"}},
            "metric_results": [{"evaluator_name": "reward", "score": {"value": rng.random(), "threshold": 0.5}}],
            "verdict": "pass",
        }
        number += 1


def prompts(seed: int | str = 0, first_case: int = 0) -> Iterator[Json]:
    """Yield the cases of an eval set without end, one for each case of `case_results`."""
    rng = random.Random(seed)
    sample = json.loads((SAMPLE / "sets" / "airline.json").read_text(encoding="utf-8"))["cases"]
    paragraphs = sample[0]["system_prompt"].split("\n\n")
    messages = [message for case in sample for message in case["user_messages"]]
    number = first_case
    while True:
        yield {
            "id": _case_id(number),
            "name": _case_id(number),
            "system_prompt": "\n\n".join(rng.sample(paragraphs, PROMPT_PARAGRAPHS)),
            "user_messages": [_shuffled(message, rng) for message in rng.sample(messages, rng.randint(1, 2))],
        }
        number += 1


@cache
def _originals() -> list[bytes]:
    """Return the case results of the sample as JSON, which is copied faster than dicts are."""
    return [
        msgspec.json.encode(case)
        for path in sorted((SAMPLE / "results" / "airline").iterdir())
        for case in json.loads(path.read_text(encoding="utf-8"))["case_results"]
    ]


def _case_id(number: int) -> str:
    return f"case-{number:08d}"


def _vary(turn: Json, rng: random.Random) -> None:
    """Give a turn other words and other call ids, alike in its calls, their results and the blocks that repeat them."""
    message, results = turn["assistant_message"], turn["tool_results"]
    for block in (block for part in (message, *results) for block in part["content"] if block["type"] == "text"):
        block["text"] = _shuffled(block["text"], rng)
    calls = {call["id"]: call for call in turn["tool_calls"]}
    for call in calls.values():
        call["id"] = f"call_{rng.getrandbits(96):024x}"
        for name, value in call["arguments"].items():
            if isinstance(value, str):
                call["arguments"][name] = _shuffled(value, rng)
    for block in (block for block in message["content"] if block["type"] == "tool_call"):
        call = calls[block["id"]]
        block["id"], block["arguments"] = call["id"], call["arguments"]
    for result in results:
        result["tool_call_id"] = calls[result["tool_call_id"]]["id"]


def _shuffled(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    rng.shuffle(words)
    return " ".join(words)


def main() -> None:
    """Write so many case results as JSON lines."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("traces", type=int)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with arguments.output.open("wb") as file:
        for case in islice(case_results(arguments.seed), arguments.traces):
            file.write(msgspec.json.encode(case) + b"\n")


if __name__ == "__main__":
    main()
