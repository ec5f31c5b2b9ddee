"""Make eval results for benchmarks from the real sample: seeded, distinct cases, several runs each, varied text."""

from __future__ import annotations

import argparse
import copy
import json
import random
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RUNS_PER_CASE", "case_results"]

SAMPLE = Path(__file__).parents[1] / "data" / "results" / "airline"
RUNS_PER_CASE = 4


def case_results(seed: int = 0) -> Iterator[dict[str, Any]]:
    """Yield case results without end, `RUNS_PER_CASE` runs of one case after the other.

    Each is a case result of the sample with its words in another order (so that neither compression nor caches find the
    same text twice), another number of turns and other scores.
    """
    rng = random.Random(seed)
    originals = [
        case
        for path in sorted(SAMPLE.iterdir())
        for case in json.loads(path.read_text(encoding="utf-8"))["case_results"]
    ]
    number = 0
    while True:
        case = copy.deepcopy(rng.choice(originals))
        case["case_id"] = f"case-{number // RUNS_PER_CASE:08d}"
        invocation = case["invocation"]
        del invocation["turns"][rng.randint(1, 30) :]
        for turn in invocation["turns"]:
            for message in (turn["assistant_message"], *turn["tool_results"]):
                for block in (block for block in message["content"] if block["type"] == "text"):
                    block["text"] = _shuffled(block["text"], rng)
        for metric in case["metric_results"]:
            metric["score"]["value"] = round(rng.random(), 3)
        yield case
        number += 1


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
    with arguments.output.open("w", encoding="utf-8") as file:
        for case in islice(case_results(arguments.seed), arguments.traces):
            file.write(json.dumps(case, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
