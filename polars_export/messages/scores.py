"""Scores of recorders: numbers, and what stands in their place."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from polars_export.json_values import describe_value
from polars_export.messages.invalid_record import InvalidRecordError

if TYPE_CHECKING:
    from polars_export.json_values import Json

__all__ = ["ODD_SCORES", "finite_score", "metrics_of"]

ODD_SCORES = "scores that are no number"
"""The kind, in `traces.dropped`, of scores such as NaN: these are null, and never 0.0."""


def finite_score(value: Json, path: str) -> float | None:
    """Return a score; None for null, NaN and infinity.

    Raises:
        InvalidRecordError: It is neither a number, a truth value nor null.
    """
    if value is None:
        return None
    if not isinstance(value, bool | int | float):
        raise InvalidRecordError(path, "a number or null", describe_value(value))
    try:
        score = float(value)
    except OverflowError:
        return None
    return score if math.isfinite(score) else None


def metrics_of(value: Json) -> tuple[list[tuple[str, float]], int]:
    """Return the metrics of an object of numbers, and how many of its values are neither numbers nor null."""
    metrics: list[tuple[str, float]] = []
    odd = 0
    for name, item in value.items() if isinstance(value, dict) else ():
        try:
            score = finite_score(item, "")
        except InvalidRecordError:
            score = None
        odd += score is None and item is not None
        if score is not None:
            metrics.append((name, score))
    return metrics, odd
