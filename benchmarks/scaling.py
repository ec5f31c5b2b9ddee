"""The questions about this project alone: cost against size and workers, the floor, and the memory of a choice."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.corpus import SHORT_TRACES_PER_PIECE, traces_of
from benchmarks.questions import CHATML, DPO, PROJECT, Contestant, Question, polars_export, script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from benchmarks.questions import Command, Setting, Summary

__all__ = ["SCALING"]

MULTIPLES = (1, 2, 4, 8)
BYTES_PER_SHORT_TRACE = 4_000  # of the size asked for, so that 2 GB stand for 500,000 traces
MANY_TRACES = 10_000_000


def _size(setting: Setting) -> Question:
    lines = setting.corpus.lines(setting.size)
    sizes = [setting.size * multiple // MULTIPLES[-1] for multiple in MULTIPLES[:-1]]
    inputs = (*(setting.corpus.beginning(lines, size) for size in sizes), lines)
    names = [f"{PROJECT}, {multiple} x" for multiple in MULTIPLES]
    traces = {name: traces_of(path) for name, path in zip(names, inputs, strict=True)}

    def remarks(summaries: Mapping[str, Summary]) -> list[str]:
        memory = summaries[names[-1]].peak_bytes / summaries[names[0]].peak_bytes
        per_thousand = {name: summaries[name].median / traces[name] * 1000 for name in names}
        growth = per_thousand[names[-1]] / per_thousand[names[0]]
        change = f"the time per trace becomes {growth:.2f} times as much, the peak memory {memory:.2f} times"
        return [
            *(
                f"{name}: {path.stat().st_size / 1e6:,.0f} MB, {traces[name]:,} traces, "
                f"{per_thousand[name]:.4f} s per 1,000 traces"
                for name, path in zip(names, inputs, strict=True)
            ),
            f"From 1 x to 8 x {change}.",
        ]

    contestants = _exports(setting, "size", dict(zip(names, inputs, strict=True)), CHATML)
    asks = "Case-result lines to ChatML as JSON lines, at 1, 2, 4 and 8 times the input."
    return Question("size", asks, inputs, contestants, remarks)


def _workers(setting: Setting) -> Question:
    lines = setting.corpus.lines(setting.size)
    halves = setting.corpus.halves(lines)
    one, two = (f"{PROJECT}, workers {count}" for count in (1, 2))
    one_copy, two_copies = "script, orjson", "script, orjson, two copies of which each reads one half"

    def remarks(summaries: Mapping[str, Summary]) -> list[str]:
        gained = summaries[one].median / summaries[two].median
        possible = summaries[one_copy].median / summaries[two_copies].median
        return [
            f"Two workers are {gained:.2f} times as fast as one.",
            f"Two copies of the script are {possible:.2f} times as fast as one.",
            f"That is {gained / possible:.0%} of what the machine allows.",
        ]

    contestants = (
        *_exports(replace(setting, workers=1), "workers", {one: lines}, CHATML),
        *_exports(replace(setting, workers=2), "workers", {two: lines}, CHATML),
        _scripts(setting, one_copy, (lines,)),
        _scripts(setting, two_copies, halves),
    )
    asks = "Case-result lines to ChatML as JSON lines, with one and with two processes."
    compared = tuple(replace(contestant, compared=True) for contestant in contestants)
    return Question("workers", asks, (lines, *halves), compared, remarks)


def _floor(setting: Setting) -> Question:
    lines = setting.corpus.lines(setting.size)
    halves = setting.corpus.halves(lines)
    contestants = (
        *_exports(setting, "floor", {PROJECT: lines}, CHATML),
        Contestant("reading: cat", (("cat", str(lines)),)),
        Contestant("starting: decoding of an empty file", (script("benchmarks.floor", os.devnull),)),
        Contestant("decoding alone, one process", (script("benchmarks.floor", lines),)),
        Contestant(
            "decoding alone, two processes of which each reads one half",
            tuple(script("benchmarks.floor", half) for half in halves),
        ),
    )
    asks = "What takes a part of the time of any export: reading the lines, and decoding them to typed records."
    return Question("floor", asks, (lines, *halves), contestants)


def _memory_of_choice(setting: Setting) -> Question:
    traces = max(setting.size // BYTES_PER_SHORT_TRACE, SHORT_TRACES_PER_PIECE)
    inputs = tuple(setting.corpus.short_lines(traces * multiple) for multiple in (1, 2))
    names = [f"{PROJECT}, {multiple} x" for multiple in (1, 2)]
    counts = [traces_of(path) for path in inputs]

    def remarks(summaries: Mapping[str, Summary]) -> list[str]:
        peaks = [summaries[name].peak_bytes for name in names]
        per_trace = (peaks[1] - peaks[0]) / (counts[1] - counts[0])
        extrapolated = peaks[1] + (MANY_TRACES - counts[1]) * per_trace
        return [
            f"{counts[0]:,} and {counts[1]:,} traces: {per_trace:.0f} bytes per trace by the difference.",
            f"By that, {MANY_TRACES:,} traces need {extrapolated / 1e6:,.0f} MB in all.",
        ]

    contestants = _exports(setting, "memory-of-choice", dict(zip(names, inputs, strict=True)), DPO)
    asks = "Lines of very short traces to DPO: what the choice of the best and the worst run of every case holds."
    return Question("memory-of-choice", asks, inputs, contestants, remarks)


def _exports(setting: Setting, question: str, sources: Mapping[str, Path], options: Command) -> tuple[Contestant, ...]:
    """Return one contestant per source, by its name."""
    contestants = []
    for name, source in sources.items():
        output = setting.output(question, name, "jsonl")
        command = polars_export(source, output, setting.workers, *options)
        contestants.append(Contestant(name, (command,), (output,), PROJECT))
    return tuple(contestants)


def _scripts(setting: Setting, name: str, sources: tuple[Path, ...]) -> Contestant:
    outputs = tuple(setting.output("workers", f"{name} {number}", "jsonl") for number in range(len(sources)))
    module = "benchmarks.peers.orjson_script"
    commands = tuple(
        script(module, "chatml-lines", source, output) for source, output in zip(sources, outputs, strict=True)
    )
    return Contestant(name, commands, outputs, "orjson")


SCALING: dict[str, Callable[[Setting], Question]] = {
    "size": _size,
    "workers": _workers,
    "floor": _floor,
    "memory-of-choice": _memory_of_choice,
}
