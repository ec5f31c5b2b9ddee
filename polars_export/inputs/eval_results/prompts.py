"""The prompts that lines bring, at their places before the turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.tables.columns import Columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from polars_export.inputs.eval_results.records import ConversationTrace, TraceOutline
    from polars_export.tables.columns import Values

__all__ = ["prompt_columns", "prompt_counts"]


def prompt_counts(traces: Sequence[TraceOutline]) -> Values:
    """Return how many system and users' messages each trace brings; at this projection they are not checked."""
    return {
        "system_messages": [1 if trace.system_prompt else 0 for trace in traces],
        "user_messages": [len(trace.user_messages) if type(trace.user_messages) is list else 0 for trace in traces],
    }


def prompt_columns(traces: Sequence[ConversationTrace]) -> Columns:
    """Return `preceding` of all turns and `closing` of all traces.

    The system prompt stands before the first turn, and the k-th message of the user before the k-th turn whose
    `turn_index` is 0: there the reference has its empty user's messages. What is left over stands before the last of
    these turns, or before the first turn where none has index 0. A trace without turns has all in `closing`.
    """
    if not any(trace.system_prompt or trace.user_messages for trace in traces):
        turn_count = sum(len(trace.invocation.turns) for trace in traces)
        return Columns(_message_values("closing", [()] * len(traces)), _message_values("preceding", [()] * turn_count))
    closing: list[list[tuple[str, str]]] = []
    preceding: list[list[tuple[str, str]]] = []
    for trace in traces:
        turns = trace.invocation.turns
        slots: list[list[tuple[str, str]]] = [[] for _ in range(len(turns) or 1)]
        if trace.system_prompt:
            slots[0].append(("system", trace.system_prompt))
        openings = [place for place, turn in enumerate(turns) if turn.turn_index == 0] or [0]
        for number, message in enumerate(trace.user_messages or ()):
            slots[openings[min(number, len(openings) - 1)]].append(("user", message))
        closing.append([] if turns else slots[0])
        preceding += slots if turns else []
    return Columns(_message_values("closing", closing), _message_values("preceding", preceding))


def _message_values(column: str, messages: Iterable[Sequence[tuple[str, str]]]) -> Values:
    messages = list(messages)
    flat = [message for of_row in messages for message in of_row]
    return {
        column: list(map(len, messages)),
        f"{column}.role": [role for role, _ in flat],
        f"{column}.content": [content for _, content in flat],
        f"{column}.name": [None] * len(flat),
    }
