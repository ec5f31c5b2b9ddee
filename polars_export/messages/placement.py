"""Where the messages of rows go: turns, what stands before and behind them, and the results of their calls."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from polars_export.messages.records import MessageCounts
from polars_export.messages.tool_results import bind_results

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from polars_export.messages.records import Message

__all__ = ["PlacedMessages", "is_system"]


def is_system(message: Message) -> bool:
    """Return whether a message that is neither the assistant's nor a tool's is a system message."""
    return message.role in {"system", "developer"}


class PlacedMessages:
    """The messages of some rows at their places.

    Attributes:
        turns: The assistant's messages of all rows.
        preceding: For each of them the messages of others before it.
        closing: For each row the messages of others behind its last turn.
        results: For each turn the tools' messages that answer its calls.
        result_names: The names of the calls that these answer, for all results one after the other.
        orphans: For each turn the number of tools' messages that stood there and answer no call.
        moved: For each turn the number of its results that stood at another one.
        context: The turns that the agent did not produce in its run.
        dropped: What has no place, by the number of the turn where it stood and the column that counts it.
    """

    def __init__(self) -> None:
        self.turns: list[Message] = []
        self.preceding: list[list[Message]] = []
        self.closing: list[list[Message]] = []
        self.results: list[list[Message]] = []
        self.result_names: list[str] = []
        self.orphans: list[int] = []
        self.moved: list[int] = []
        self.context: set[int] = set()
        self.dropped: Counter[tuple[int, str]] = Counter()

    def add(
        self, messages: Sequence[Message], dropped: Sequence[tuple[int, str]] = (), context: Collection[int] = ()
    ) -> MessageCounts:
        """Add the messages of a trace; `dropped` and `context` as in `Trace`.

        What a tool says without naming a call is a message of the user where the turn before it has no calls. Before
        any turn it answers nothing.
        """
        first, early = len(self.turns), 0
        others: list[Message] = []
        system = user = 0
        for message in messages:
            role = message.role
            if role == "assistant":
                self.turns.append(message)
                self.preceding.append(others)
                self.results.append([])
                others = []
            elif role == "tool" and len(self.turns) == first:
                early += 1
            elif role == "tool" and (message.tool_call_id or self.turns[-1].tool_calls):
                self.results[-1].append(message)
            else:
                others.append(message)
                system, user = (system + 1, user) if is_system(message) else (system, user + 1)
        self.closing.append(others)
        if context:
            places = [index for index, message in enumerate(messages) if message.role == "assistant"]
            self.context |= {first + turn for turn, index in enumerate(places) if index in context}
        turns = len(self.turns) - first
        if turns:
            self._bind(first, early)
            self._count(first, messages, dropped)
        return MessageCounts(turns, system, user)

    def _bind(self, first: int, early: int) -> None:
        """Bind the results of the turns from `first` on; `early` more stood before these."""
        turns, results = self.turns[first:], self.results[first:]
        if all(not of_turn or _are_in_order(turn, of_turn) for turn, of_turn in zip(turns, results, strict=True)):
            for turn, of_turn in zip(turns, results, strict=True):
                if of_turn and turn.tool_calls:
                    self.result_names += [call.function.name for call in turn.tool_calls[: len(of_turn)]]
            self.orphans += [early, *[0] * (len(turns) - 1)]
            self.moved += [0] * len(turns)
            return
        placed = [(place, result) for place, of_turn in enumerate(results) for result in of_turn]
        call_ids = [[call.id for call in turn.tool_calls or ()] for turn in turns]
        bound = bind_results(call_ids, [(place, result.tool_call_id) for place, result in placed])
        self.results[first:] = [[placed[number][1] for number, _ in answers] for answers in bound.by_turn]
        for turn, answers in zip(turns, bound.by_turn, strict=True):
            calls = turn.tool_calls or []
            self.result_names += [calls[place].function.name for _, place in answers]
        self.orphans += [early + bound.orphans[0], *bound.orphans[1:]]
        self.moved += bound.moved

    def _count(self, first: int, messages: Sequence[Message], dropped: Sequence[tuple[int, str]]) -> None:
        """Count what has no place in the messages of a row at the turns from `first` on."""
        lost = [*dropped]
        for index, message in enumerate(messages):
            if message.tool_calls and message.role != "assistant":
                lost += [(index, "unknown_blocks")] * len(message.tool_calls)
        last = len(self.turns) - 1
        for index, column in lost:
            before = sum(message.role == "assistant" for message in messages[:index])
            is_result = index < len(messages) and messages[index].role == "tool"
            self.dropped[min(max(first + before - is_result, first), last), column] += 1


def _are_in_order(turn: Message, results: Sequence[Message]) -> bool:
    """Return whether the results that stand at a turn answer its first calls one after the other."""
    calls = turn.tool_calls or []
    if len(results) > len(calls):
        return False
    if not any(result.tool_call_id for result in results):
        return True
    return all(result.tool_call_id == call.id and call.id for result, call in zip(results, calls, strict=False))
