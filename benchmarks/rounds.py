"""Measure the contestants of a question in turns, after checking once that they agree."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.agree import Output, check_agreement
from benchmarks.corpus import read_through
from benchmarks.measure import measure
from benchmarks.questions import Summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Measurement
    from benchmarks.questions import Contestant, Question

__all__ = ["Result", "Runs", "answer"]


@dataclass(frozen=True, slots=True)
class Runs:
    """How often contestants run.

    Attributes:
        rounds: How often each runs.
        slow: How often those run that may rest and take more than `slow_ratio` times as long as the first.
        slow_ratio: See there.
    """

    rounds: int
    slow: int
    slow_ratio: float = 4.0


@dataclass(frozen=True, slots=True)
class Result:
    """What came out for a question.

    Attributes:
        summaries: By the name of the contestant.
        records: How many records those that are compared wrote, all the same; None where none are compared.
    """

    summaries: dict[str, Summary]
    records: int | None


def answer(question: Question, runs: Runs, say: Callable[[str], None]) -> Result:
    """Measure a question.

    In every round each contestant runs once, and each round begins with another one. The first round decides who is
    slow; what it wrote is compared.

    Args:
        question: The question.
        runs: How many rounds there are.
        say: Is told of every run.

    Raises:
        CommandError: A contestant failed.
        DisagreementError: Two contestants wrote different records.
    """
    for source in question.inputs:
        read_through(source)
    measured: dict[str, list[Measurement]] = {contestant.name: [] for contestant in question.contestants}
    records = None
    for number in range(runs.rounds):
        for contestant in _rotated(question.contestants, number):
            if number > 0 and len(measured[contestant.name]) >= _runs_of(contestant, question, measured, runs):
                continue
            _remove_files(contestant)
            measurement = measure(contestant.commands)
            measured[contestant.name].append(measurement)
            say(f"{question.name}, round {number + 1}: {measurement.seconds:7.2f} s  {contestant.name}")
            if number > 0:
                _remove_files(contestant)
        if number == 0:
            records = _compare(question)
            for contestant in question.contestants:
                _remove_files(contestant)
    return Result({name: _summary(all_runs) for name, all_runs in measured.items()}, records)


def _rotated(contestants: tuple[Contestant, ...], number: int) -> tuple[Contestant, ...]:
    first = number % len(contestants)
    return contestants[first:] + contestants[:first]


def _runs_of(contestant: Contestant, question: Question, measured: dict[str, list[Measurement]], runs: Runs) -> int:
    """Return how often a contestant runs in all, by what the first round showed."""
    first = measured[question.contestants[0].name][0].seconds
    is_slow = measured[contestant.name][0].seconds > runs.slow_ratio * first
    return runs.slow if contestant.may_rest and is_slow else runs.rounds


def _compare(question: Question) -> int | None:
    outputs = [Output(one.name, one.files, one.decimals) for one in question.contestants if one.compared]
    return check_agreement(outputs) if len(outputs) > 1 else None


def _remove_files(contestant: Contestant) -> None:
    for file in contestant.files:
        file.unlink(missing_ok=True)


def _summary(measured: list[Measurement]) -> Summary:
    return Summary(
        seconds=tuple(sorted(one.seconds for one in measured)),
        processor_seconds=median(one.processor_seconds for one in measured),
        peak_bytes=round(median(one.peak_bytes for one in measured)),
    )
