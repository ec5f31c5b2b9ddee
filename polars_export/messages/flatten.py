"""Understood traces to the values of the columns of `traces` and `turns`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.messages.arguments import ArgumentEncoder
from polars_export.messages.placement import PlacedMessages, is_system
from polars_export.tables.columns import Columns
from polars_export.tables.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polars_export.messages.records import Message, MessageCounts, TextPart, Trace
    from polars_export.tables.columns import Values

__all__ = ["Flattener", "outline_columns"]

_COUNTED = ("image_blocks", "extension_blocks", "unknown_blocks")
_USAGE = tuple(
    f"{kind}_{of}" for kind in ("input", "output", "cache_read", "cache_write", "total") for of in ("tokens", "cost")
)


def outline_columns(traces: Sequence[Trace], counts: Sequence[MessageCounts]) -> Values:
    """Return the columns of `traces` by which traces are selected."""
    return {
        "eval_set_id": [trace.eval_set_id for trace in traces],
        "case_id": [trace.case_id for trace in traces],
        "recorded_score": [trace.score for trace in traces],
        "metrics": [len(trace.metrics) for trace in traces],
        "metrics.value": [value for trace in traces for _, value in trace.metrics],
        "final_response": [trace.final_response for trace in traces],
        "turns": [count.turns for count in counts],
        "system_messages": [count.system for count in counts],
        "user_messages": [count.user for count in counts],
    }


class Flattener:
    """Takes traces apart into the values of columns: those of conversations or, at the full projection, all.

    Args:
        projection: The projection.
        sort_arguments: Whether the keys of tool-call arguments are sorted; see `ArgumentEncoder`.
    """

    def __init__(self, projection: Projection, *, sort_arguments: bool = False) -> None:
        self._is_full = projection is Projection.FULL
        self._arguments = ArgumentEncoder(projection, sort_arguments=sort_arguments)

    def columns(self, traces: Sequence[Trace]) -> Columns:
        """Return the columns of some traces."""
        placed = PlacedMessages()
        counts = [placed.add(trace.messages, trace.dropped, trace.context) for trace in traces]
        columns = Columns(
            outline_columns(traces, counts)
            | {
                "model_id": [trace.model_id for trace in traces],
                "run": [trace.run for trace in traces],
                "verdict": [trace.verdict for trace in traces],
                "tools": [trace.tools for trace in traces],
            }
            | _message_values("closing", placed.closing)
            | _dropped_values(traces),
            self._turn_values(placed)
            | _message_values("preceding", placed.preceding)
            | _result_values(placed)
            | _count_values(placed),
        )
        if self._is_full:
            columns.traces.update(_full_trace_values(traces))
            columns.turns.update(_full_turn_values(len(placed.turns)))
        return columns

    def _turn_values(self, placed: PlacedMessages) -> Values:
        turns = placed.turns
        calls = [call for turn in turns if turn.tool_calls for call in turn.tool_calls]
        return {
            "turn_index": [None] * len(turns),
            "context": [place in placed.context for place in range(len(turns))]
            if placed.context
            else [False] * len(turns),
            "text": _texts(turns),
            "reasoning": [turn.reasoning_content or turn.reasoning or turn.thinking or None for turn in turns],
            "tool_calls": [len(turn.tool_calls) if turn.tool_calls else 0 for turn in turns],
            "tool_calls.id": [call.id for call in calls],
            "tool_calls.name": [call.function.name for call in calls],
            "tool_calls.arguments": self._arguments.encode([call.function.arguments for call in calls]),
        }


def _texts(messages: Sequence[Message]) -> list[str]:
    return [content if isinstance(content := message.content, str) else _joined(content) for message in messages]


def _joined(parts: Sequence[TextPart] | None) -> str:
    return "".join([part.text for part in parts or ()])


def _message_values(column: str, messages: Sequence[Sequence[Message]]) -> Values:
    flat = [message for of_row in messages for message in of_row]
    return {
        column: list(map(len, messages)),
        f"{column}.role": ["system" if is_system(message) else "user" for message in flat],
        f"{column}.content": _texts(flat),
        f"{column}.name": [message.name for message in flat],
    }


def _result_values(placed: PlacedMessages) -> Values:
    results = [result for of_turn in placed.results for result in of_turn]
    lengths = list(map(len, placed.results))
    return {
        "tool_results": lengths,
        "tool_results.tool_call_id": [result.tool_call_id for result in results],
        "tool_results.name": placed.result_names,
        "tool_results.text": _texts(results),
        "tool_results.is_error": [result.is_error for result in results],
        "tool_result_count": lengths,
        "orphan_results": placed.orphans,
        "moved_results": placed.moved,
    }


def _count_values(placed: PlacedMessages) -> Values:
    """Count reasoning, and what has no place; mostly there is none."""
    thoughts = [1 if turn.reasoning_content or turn.reasoning or turn.thinking else 0 for turn in placed.turns]
    counts: Values = {"thinking_blocks": thoughts}
    for column in _COUNTED:
        counts[column] = [0] * len(placed.turns)
    for (row, column), count in placed.dropped.items():
        counts[column][row] += count
    return counts


def _dropped_values(traces: Sequence[Trace]) -> Values:
    return {
        "dropped": [len(trace.dropped_kinds) for trace in traces],
        "dropped.kind": [kind for trace in traces for kind in trace.dropped_kinds],
        "dropped.count": [count for trace in traces for count in trace.dropped_kinds.values()],
    }


def _full_trace_values(traces: Sequence[Trace]) -> Values:
    names = [name for trace in traces for name, _ in trace.metrics]
    unknown = ("provider", "thinking_level", "duration_seconds", *_USAGE)
    return {
        "metrics.evaluator_name": names,
        "metrics.threshold": [None] * len(names),
        "metrics.details": [None] * len(names),
        "stop_reason": [trace.stop_reason for trace in traces],
        "error": [trace.error for trace in traces],
        "extra": [trace.extra for trace in traces],
        **{column: [None] * len(traces) for column in unknown},
    }


def _full_turn_values(size: int) -> Values:
    unknown = ("provider", "model_id", "stop_reason", "error_message", "timestamp", "duration_seconds", *_USAGE)
    return {column: [None] * size for column in unknown}
