"""The branches of a graph of messages: its paths from a root to a leaf."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from polars_export.json_values import describe_value
from polars_export.messages.invalid_record import InvalidRecordError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from polars_export.json_values import Json

__all__ = ["Branch", "branches_of"]


class Branch(NamedTuple):
    """A path from a root to a leaf.

    Attributes:
        nodes: The numbers of its nodes, from the root on.
        own: Those that a model call has produced and no later branch holds: so each is learned from once.
    """

    nodes: Sequence[int]
    own: frozenset[int]


def branches_of(
    parents: Sequence[Json], sampled: Sequence[bool], path: str, left_out: AbstractSet[int] = frozenset()
) -> tuple[list[Branch], int]:
    """Return the branches of a graph in the order of their leaves, and how many nodes are in none of them.

    A graph branches where a prompt goes on otherwise than before, as it does after a compaction and for a subagent:
    each branch is a conversation then. Where the very same prompt was answered several times, only the answer counts
    that leads to the last node: the branches with the others are abandoned.

    Args:
        parents: For each node the number of the one before it, None for a root.
        sampled: Which nodes a model call has produced.
        path: The JSON path of what holds them.
        left_out: Leaves whose branches are abandoned, whatever their place.

    Raises:
        InvalidRecordError: A parent is no node before.
    """
    for number, parent in enumerate(parents):
        if parent is not None and (type(parent) is not int or not 0 <= parent < number):
            raise InvalidRecordError(
                f"{path}.nodes[{number}].parent", "the number of a node before", describe_value(parent)
            )
    answers = _answers(parents, [is_sampled and number not in left_out for number, is_sampled in enumerate(sampled)])
    inner = set(parents)
    kept: list[Sequence[int]] = []
    for leaf in range(len(parents)):
        if leaf in inner or leaf in left_out:
            continue
        nodes = _path_to(leaf, parents)
        if all(not sampled[number] or answers.get(parents[number]) == number for number in nodes):
            kept.append(nodes)
    branches: list[Branch] = []
    held: set[int] = set()
    for nodes in reversed(kept):
        branches.append(Branch(nodes, frozenset(number for number in nodes if sampled[number] and number not in held)))
        held.update(nodes)
    return branches[::-1], len(parents) - len(held)


def _answers(parents: Sequence[Json], sampled: Sequence[bool]) -> dict[Json, int]:
    """Return for each node that was answered the answer that leads to the last node."""
    last = list(range(len(parents)))
    answers: dict[Json, int] = {}
    for number in reversed(last[:]):
        parent = parents[number]
        if parent is not None:
            last[parent] = max(last[parent], last[number])
        if sampled[number] and (parent not in answers or last[number] > last[answers[parent]]):
            answers[parent] = number
    return answers


def _path_to(leaf: int, parents: Sequence[Json]) -> Sequence[int]:
    nodes = [leaf]
    while (above := parents[nodes[-1]]) is not None:
        nodes.append(above)
    return nodes[::-1]
