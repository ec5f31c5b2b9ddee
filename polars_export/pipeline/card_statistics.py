"""What the card of a dataset repository says of the exported traces, gathered part by part."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CardStatistics"]


@dataclass(slots=True)
class CardStatistics:
    """What the card says of the exported traces, in counts. But for the prompts, it does not grow with their number.

    Attributes:
        scores: Number of traces by the bounds of their score; see `_bounds`.
        unscored: Number of traces without a score.
        turns: Number of traces by their number of turns.
        models: Number of traces by their model.
        prompts: For each split, where there are two, hashes of its distinct prompts, eight bytes each.
        sample: The first record.
    """

    scores: Counter[tuple[float, float]] = field(default_factory=Counter)
    unscored: int = 0
    turns: Counter[int] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    prompts: dict[str, set[int]] = field(default_factory=dict)
    sample: str | None = None

    def see(self, traces: pl.DataFrame) -> None:
        """Count exported traces: rows with `score`, `turns` and `model_id`."""
        scores = traces["score"].drop_nulls()
        self.unscored += len(traces) - len(scores)
        self.scores.update(map(_bounds, filter(math.isfinite, scores.to_list())))
        self.turns.update(traces["turns"].to_list())
        self.models.update(traces["model_id"].drop_nulls().to_list())

    def see_prompts(self, prompts: pl.Series, in_test: pl.Series) -> None:
        """Note the prompts of records, null without one, and whether these are in the test split."""
        hashes = prompts.hash()
        for split, rows in (("train", ~in_test), ("test", in_test)):
            known = hashes.filter(rows & prompts.is_not_null()).unique().to_list()
            self.prompts.setdefault(split, set()).update(known)

    def add(self, other: CardStatistics) -> None:
        """Add what was seen in a later part."""
        self.scores.update(other.scores)
        self.unscored += other.unscored
        self.turns.update(other.turns)
        self.models.update(other.models)
        for split, known in other.prompts.items():
            self.prompts.setdefault(split, set()).update(known)
        self.sample = self.sample if self.sample is not None else other.sample


def _bounds(score: float) -> tuple[float, float]:
    """Return the bounds of a score: tenths up to 1, then units up to 10, tens up to 100, and so on.

    The upper bound belongs to the bin. So the bins need not be known before the scores.
    """
    size = round(abs(score), 9)  # a mean of ones may be a hair above 1
    unit = 10.0 ** max(-1, math.ceil(math.log10(size)) - 1) if size else 0.1
    place = max(math.ceil(round(size / unit, 9)) - 1, 0)
    low, high = round(place * unit, 9), round((place + 1) * unit, 9)
    return (low, high) if score >= 0 else (-high, 0.0 - low)
