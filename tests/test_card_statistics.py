"""What a card tells of the exported traces is the same whether it was gathered at once or part by part."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_export as pe
from polars_export.pipeline.card_statistics import CardStatistics
from tests.builders import write_lines

if TYPE_CHECKING:
    from pathlib import Path

SCORES = st.floats() | st.floats(-2, 2) | st.integers(-30, 30).map(lambda tenths: tenths / 10)
SEEN = {"score": pl.Float64, "turns": pl.UInt32, "model_id": pl.String}


def seen(*scores: float, turns: int = 1, model: str = "m") -> CardStatistics:
    """Return what is seen of traces with these scores."""
    every = CardStatistics()
    every.see(pl.DataFrame([(score, turns, model) for score in scores], schema=SEEN, orient="row"))
    return every


def bounds(score: float) -> tuple[float, float]:
    (found,) = seen(score).scores
    return found


@pytest.mark.parametrize(
    ("score", "low", "high"),
    [
        (0.0, 0.0, 0.1),
        (5e-324, 0.0, 0.1),
        (0.1, 0.0, 0.1),
        (0.3, 0.2, 0.3),
        (0.1 + 0.2, 0.2, 0.3),
        (0.7, 0.6, 0.7),
        (0.95, 0.9, 1.0),
        (1.0, 0.9, 1.0),
        (1 + 2**-52, 0.9, 1.0),
        (1.5, 1.0, 2.0),
        (10.0, 9.0, 10.0),
        (10.5, 10.0, 20.0),
        (250.0, 200.0, 300.0),
        (-0.05, -0.1, 0.0),
        (-1.0, -1.0, -0.9),
        (-3.5, -4.0, -3.0),
    ],
)
def test_a_score_belongs_to_a_tenth_up_to_1_and_then_to_units_and_tens(score: float, low: float, high: float) -> None:
    assert bounds(score) == (low, high)
    assert math.copysign(1, bounds(score)[1]) == (-1 if high < 0 else 1)


@given(SCORES.filter(math.isfinite))
def test_every_score_is_between_its_bounds(score: float) -> None:
    low, high = bounds(score)
    rounded = abs(score) * 1e-9 + 1e-9
    assert low - rounded <= score <= high + rounded
    assert bounds(-score) == (-high, -low) or score == 0


@given(st.lists(st.lists(st.tuples(SCORES, st.integers(0, 9), st.sampled_from("ab")), max_size=5), max_size=4))
def test_parts_add_up_to_what_is_seen_at_once(parts: list[list[tuple[float, int, str]]]) -> None:
    rows = [row for part in parts for row in part]
    together, at_once = CardStatistics(), CardStatistics()
    at_once.see(pl.DataFrame(rows, schema=SEEN, orient="row"))
    for part in parts:
        of_part = CardStatistics()
        of_part.see(pl.DataFrame(part, schema=SEEN, orient="row"))
        together.add(of_part)
    assert together == at_once
    assert sum(together.scores.values()) == sum(math.isfinite(score) for score, _, _ in rows)
    assert together.turns == Counter(turns for _, turns, _ in rows)
    assert together.models == Counter(model for _, _, model in rows)


def test_the_sample_is_the_first_record_of_all() -> None:
    together = CardStatistics()
    for sample in (None, "first", None, "second"):
        part = seen(0.5)
        part.sample = sample
        together.add(part)
    assert together.sample == "first"


def test_the_card_counts_traces_without_score_or_model(tmp_path: Path) -> None:
    said = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hi."}]
    source = write_lines(tmp_path / "rows.jsonl", {"messages": said}, {"messages": said, "score": 0.5, "model": "m"})
    pe.export(source, tmp_path / "out", pe.ExportOptions("chatml", target="trl"))
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert "Traces without a score: 1." in card
    assert "- `m`: 1" in card
