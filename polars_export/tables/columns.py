"""Values of columns, as decoders give them: before they become tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ["Columns", "Values", "extend"]

Values: TypeAlias = dict[str, list[Any]]
"""The values of columns by their names. A column of lists of structs has the lengths of its lists under its name and
the values of a field of all its items under both names with a dot between, such as `tool_calls.id`."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Consecutive traces as values of the columns of `tables.schema`.

    In place of `score`, `traces` has `recorded_score`: the score that the source gives, null where it is the mean of
    the metrics. The columns `trace` of both tables and `turn` are numbered later.

    Attributes:
        traces: One value per trace.
        turns: One value per turn, in the order of the traces.
    """

    traces: Values
    turns: Values = field(default_factory=dict)


def extend(columns: Values, more: Values) -> None:
    """Append the values of later rows."""
    for name, values in more.items():
        columns.setdefault(name, []).extend(values)
