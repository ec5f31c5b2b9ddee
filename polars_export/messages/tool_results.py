"""Bind tool results to the calls that they answer."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["BoundResults", "bind_results"]


class BoundResults(NamedTuple):
    """The results of one trace by the calls that they answer.

    Attributes:
        by_turn: For each turn the results of its calls: the place of each among all results, and of its call in the
            turn. Those that stood at the turn come first, in the order of the source.
        orphans: For each turn the number of results that stood there and answer no call.
        moved: For each turn the number of its results that stood at another one.
    """

    by_turn: list[list[tuple[int, int]]]
    orphans: list[int]
    moved: list[int]


def bind_results(call_ids: Sequence[Sequence[str | None]], results: Sequence[tuple[int, str | None]]) -> BoundResults:
    """Bind the results of one trace by id; those without answer, in order, the calls of their turn that no id names.

    Where calls of several turns have the same id, a result belongs to the latest of its own turn and those before that
    still waits for one, else to the latest of these, else to the first behind. Calls of one turn with the same id are
    answered in order.

    Args:
        call_ids: For each turn the ids of its calls, None or empty without one.
        results: For each result the turn at which it stands, and the id of the call that it names, None or empty
            without one.
    """
    turns = len(call_ids)
    bound = BoundResults([[] for _ in range(turns)], [0] * turns, [0] * turns)
    places: dict[str, dict[int, list[int]]] = {}
    for calling, ids in enumerate(call_ids):
        for place, known_id in enumerate(ids):
            if known_id:
                places.setdefault(known_id, {}).setdefault(calling, []).append(place)
    named = {(stood, call_id) for stood, call_id in results if call_id}
    answered: Counter[tuple[int, str]] = Counter()
    moved: list[tuple[int, tuple[int, int]]] = []
    for number, (stood, given_id) in enumerate(results):
        call_id = given_id or ""
        if call_id:
            calls = places.get(call_id, {})
        else:
            free = [place for place, known_id in enumerate(call_ids[stood]) if (stood, known_id) not in named]
            calls = {stood: free} if free else {}
        turn = _latest([turn for turn, those in calls.items() if answered[turn, call_id] < len(those)], calls, stood)
        if turn is None or (not call_id and answered[turn, call_id] >= len(calls[turn])):
            bound.orphans[stood] += 1
            continue
        result = (number, calls[turn][min(answered[turn, call_id], len(calls[turn]) - 1)])
        answered[turn, call_id] += 1
        if turn == stood:
            bound.by_turn[turn].append(result)
        else:
            moved.append((turn, result))
    for answered_turn, result in moved:
        bound.by_turn[answered_turn].append(result)
        bound.moved[answered_turn] += 1
    return bound


def _latest(waiting: Iterable[int], turns: Iterable[int], stood: int) -> int | None:
    """Return the last of some turns that is not behind another, of those that wait if there is one; else the first."""
    for those in (waiting, turns):
        if (latest := max((turn for turn in those if turn <= stood), default=None)) is not None:
            return latest
    return min(turns, default=None)
