"""The scores of a sample as metrics, by the rules of Inspect's `value_to_float`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from polars_export.json_values import describe_value
from polars_export.messages.invalid_record import InvalidRecordError

if TYPE_CHECKING:
    from polars_export.json_values import Json

__all__ = ["metrics_of_scores"]

_WORDS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_YES, _NO = {"yes", "true"}, {"no", "false"}


def metrics_of_scores(scores: Json, path: str) -> tuple[list[tuple[str, float]], int]:
    """Return the metrics of a sample's scores, and the number of those that are no number.

    The score of a scorer is one metric of its name; an object is one for each of its keys, `scorer.key`. A list is no
    number, and neither is NaN.

    Raises:
        InvalidRecordError: The scores are no object.
    """
    if scores is None:
        return [], 0
    if not isinstance(scores, dict):
        raise InvalidRecordError(path, "an object of scores or null", describe_value(scores))
    values: list[tuple[str, Json]] = []
    for scorer, score in scores.items():
        value = score.get("value") if isinstance(score, dict) else score
        if isinstance(value, dict):
            values += [(f"{scorer}.{key}", item) for key, item in value.items()]
        else:
            values.append((scorer, value))
    metrics = [(name, number) for name, value in values if (number := _number(value)) is not None]
    return metrics, sum(value is not None for _, value in values) - len(metrics)


def _number(value: Json) -> float | None:
    if isinstance(value, str):
        if value in _WORDS:
            return _WORDS[value]
        if value.lower() in _YES | _NO:
            return float(value.lower() in _YES)
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, bool | int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
