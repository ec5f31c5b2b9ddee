"""Compare this project with what users would use instead, on the same input in one go: see README.md."""

from __future__ import annotations

import argparse
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

from benchmarks.agree import DisagreementError
from benchmarks.corpus import Corpus, size_of, traces_of
from benchmarks.machine import cores
from benchmarks.measure import CommandError
from benchmarks.peers import PEERS
from benchmarks.questions import AGAINST_PEERS, Setting
from benchmarks.report import replace_section, section
from benchmarks.rounds import Runs, answer
from benchmarks.scaling import SCALING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.questions import Question

__all__ = ["main"]

QUESTIONS = AGAINST_PEERS | SCALING
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 1 where a contestant failed or wrote other records than this project."""
    options = _parser().parse_args(arguments)
    outputs = options.scratch / "outputs"
    outputs.mkdir(parents=True, exist_ok=True)
    setting = Setting(
        Corpus(options.scratch, options.seed, options.processes),
        outputs,
        options.size,
        options.workers,
        frozenset(options.peers),
    )
    runs = Runs(options.runs, min(options.slow_runs, options.runs))
    failed = False
    for name in options.question:
        _say(f"{name}: making the input")
        question = QUESTIONS[name](setting)
        try:
            result = answer(question, runs, _say)
        except (CommandError, DisagreementError) as error:
            _say(f"{name}: {error}")
            failed = True
            continue
        text = section(question, result, day=datetime.now(UTC).date().isoformat(), source=_input(question))
        replace_section(options.output, text)
        print(text, flush=True)  # noqa: T201 - what the command is for
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("--size", type=_bytes, default="2GB", help="bytes of lines (default: 2GB)")
    parser.add_argument("--runs", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument(
        "--slow-runs", type=int, default=1, help="rounds of peers that take 4 times as long (default: 1)"
    )
    parser.add_argument(
        "--question", nargs="+", choices=QUESTIONS, default=list(QUESTIONS), metavar="NAME", help=", ".join(QUESTIONS)
    )
    names = [peer.name for peer in PEERS]
    parser.add_argument("--peers", nargs="*", choices=names, default=names, metavar="PEER", help=", ".join(names))
    parser.add_argument("--workers", type=int, default=cores(), help="processes of polars-export (default: all cores)")
    parser.add_argument("--seed", type=int, default=0, help="of the input (default: 0)")
    parser.add_argument("--processes", type=int, default=cores(), help="that make the input (default: all cores)")
    parser.add_argument(
        "--scratch", type=Path, default=Path(gettempdir(), "polars-export-benchmarks"), help="for inputs and outputs"
    )
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    return parser


def _bytes(text: str) -> int:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMG]?)B?", text.upper())
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write it like 250MB or 2GB")
    return int(float(match[1]) * UNITS[match[2]])


def _input(question: Question) -> str:
    source = max(question.inputs, key=size_of)
    return f"Input: {size_of(source) / 1e6:,.0f} MB, {traces_of(source):,} traces"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - progress


if __name__ == "__main__":
    sys.exit(main())
