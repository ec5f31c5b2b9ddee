"""Write results as Markdown, one section per question; what else a file says stays."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from benchmarks.machine import machine, versions

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.questions import Contestant, Question, Summary
    from benchmarks.rounds import Result

__all__ = ["replace_section", "section"]

COLUMNS = ("contestant", "seconds", "least to most", "runs", "times the first", "processor seconds", "peak MB")
LIBRARIES = ("polars-export", "polars", "pyarrow", "msgspec")
INTRODUCTION = """\
# Results

Made by `python -m benchmarks.compare`; [README.md](README.md) says how. In short: whole commands as fresh processes on
files in the page cache, in turns; medians. Peak memory is that of all processes of a command together. Every section
says when, where and with which versions it was measured.
"""


def section(question: Question, result: Result, *, day: str, source: str) -> str:
    """Return the section of a question.

    Args:
        question: The question.
        result: What came out.
        day: When it was measured.
        source: What was read.
    """
    first = result.summaries[question.contestants[0].name]
    rows = [COLUMNS, tuple("---" if column == COLUMNS[0] else "--:" for column in COLUMNS)]
    rows += [_row(contestant, result.summaries[contestant.name], first) for contestant in question.contestants]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    notes = [f"{one.name}: {one.note}." for one in question.contestants if one.note]
    agreed = [] if result.records is None else [f"The outputs agree, {result.records:,} records in the same order."]
    rested = [_rest(one, result.summaries) for one in question.contestants if one.may_rest]
    points = [*question.remarks(result.summaries), *agreed, *filter(None, rested), *notes]
    below = "".join(f"- {point}\n" for point in points)
    return (
        f"## {question.name}\n\n{question.asks}\n\n{source}; {day}; {machine()}; {versions(LIBRARIES)}.\n\n"
        f"{table}\n" + (f"\n{below}" if below else "")
    )


def replace_section(path: Path, text: str) -> None:
    """Put a section in the place of the one with its heading, or at the end of the file."""
    heading = text.partition("\n")[0]
    before = path.read_text(encoding="utf-8") if path.exists() else INTRODUCTION
    parts = re.split(r"^(?=## )", before, flags=re.MULTILINE)
    places = [place for place, part in enumerate(parts) if part.partition("\n")[0] == heading]
    if places:
        is_last = places[0] == len(parts) - 1
        parts[places[0]] = text if is_last else f"{text}\n"
    else:
        parts[-1] = f"{parts[-1].rstrip()}\n\n"
        parts.append(text)
    path.write_text("".join(parts), encoding="utf-8")


def _rest(contestant: Contestant, summaries: dict[str, Summary]) -> str:
    """Say that a contestant ran less often than others, nothing where it did not."""
    own, most = (len(one.seconds) for one in (summaries[contestant.name], max(summaries.values(), key=_runs)))
    return f"{contestant.name}: {own} of {most} rounds, as it is slow." if own < most else ""


def _runs(summary: Summary) -> int:
    return len(summary.seconds)


def _row(contestant: Contestant, summary: Summary, first: Summary) -> tuple[str, ...]:
    name = contestant.name
    if contestant.package and contestant.package not in LIBRARIES:
        name += f" ({versions([contestant.package])})"
    return (
        name,
        f"{summary.median:.2f}",
        f"{summary.seconds[0]:.2f} to {summary.seconds[-1]:.2f}",
        str(len(summary.seconds)),
        f"{summary.median / first.median:.2f}",
        f"{summary.processor_seconds:.2f}",
        f"{summary.peak_bytes / 1e6:,.0f}",
    )
