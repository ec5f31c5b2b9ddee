"""Decoded records to the values of the columns of `traces` and `turns`."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from msgspec import UNSET

from polars_export.inputs.eval_results.prompts import prompt_columns, prompt_counts
from polars_export.inputs.eval_results.records import Extension, Image, SkippedThinking, Thinking, UnknownBlock
from polars_export.messages.arguments import ArgumentEncoder
from polars_export.messages.tool_results import bind_results
from polars_export.tables.columns import Columns
from polars_export.tables.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polars_export.inputs.eval_results.records import (
        Amounts,
        ConversationTrace,
        ConversationTurn,
        Counts,
        Duration,
        FullBlock,
        FullInvocation,
        FullTrace,
        FullTurn,
        ToolResult,
        Trace,
        TraceOutline,
        Turn,
    )
    from polars_export.messages.tool_results import BoundResults
    from polars_export.tables.columns import Values

__all__ = ["Flattener"]

_COUNTED: dict[type, str] = {
    SkippedThinking: "thinking_blocks",
    Thinking: "thinking_blocks",
    Image: "image_blocks",
    Extension: "extension_blocks",
    UnknownBlock: "unknown_blocks",
}
_USAGE_KINDS = ("input", "output", "cache_read", "cache_write", "total")


class Flattener:
    """Takes decoded records apart into the values of columns.

    Each column is one comprehension over the records: about twice as fast as one loop that appends to many lists.

    Args:
        projection: The projection at which the records are decoded.
        sort_arguments: Whether the keys of tool-call arguments are sorted; see `ArgumentEncoder`.
    """

    def __init__(self, projection: Projection, *, sort_arguments: bool = False) -> None:
        self._projection = projection
        self._arguments = ArgumentEncoder(projection, sort_arguments=sort_arguments)

    def columns(self, traces: Sequence[TraceOutline]) -> Columns:
        """Return the columns of some records."""
        projection = self._projection
        columns = Columns(_outline_values(traces))
        if projection >= Projection.RECORDS:
            records = cast("Sequence[Trace]", traces)
            columns.traces["model_id"] = [trace.invocation.model.model_id for trace in records]
            turns = [turn for trace in records for turn in trace.invocation.turns]
            columns.turns.update(_turn_values(turns), **self._tool_calls(turns))
        if projection >= Projection.CONVERSATIONS:
            conversations = cast("Sequence[ConversationTrace]", traces)
            columns.traces.update(_conversation_trace_values(conversations))
            columns.turns.update(_conversation_turn_values(conversations))
            prompts = prompt_columns(conversations)
            columns.traces.update(prompts.traces)
            columns.turns.update(prompts.turns)
        if projection is Projection.FULL:
            full = cast("Sequence[FullTrace]", traces)
            columns.traces.update(_full_trace_values(full))
            columns.turns.update(_full_turn_values([turn for trace in full for turn in trace.invocation.turns]))
        return columns

    def _tool_calls(self, turns: Sequence[Turn]) -> Values:
        calls = [call for turn in turns for call in turn.tool_calls]
        return {
            "tool_calls": [len(turn.tool_calls) for turn in turns],
            "tool_calls.id": [call.id for call in calls],
            "tool_calls.name": [call.name for call in calls],
            "tool_calls.arguments": self._arguments.encode([call.arguments for call in calls]),
        }


def _outline_values(traces: Sequence[TraceOutline]) -> Values:
    metrics = [trace.metric_results or () for trace in traces]
    return {
        "eval_set_id": [trace.eval_set_id for trace in traces],
        "case_id": [trace.case_id for trace in traces],
        "recorded_score": [_recorded_score(trace) for trace in traces],
        "metrics": list(map(len, metrics)),
        "metrics.value": [metric.score.value for of_trace in metrics for metric in of_trace],
        "final_response": [trace.invocation.final_response for trace in traces],
        "turns": [len(trace.invocation.turns) for trace in traces],
        **prompt_counts(traces),
    }


def _recorded_score(trace: TraceOutline) -> float | None:
    """Return the score of a scored trace; of a case result 0.0 if no metric scored it, as the reference has it."""
    if trace.metric_results is UNSET:
        return cast("float", trace.score)
    return None if trace.metric_results else 0.0


def _turn_values(turns: Sequence[Turn]) -> Values:
    contents = [turn.assistant_message.content for turn in turns]
    return {
        "turn_index": [turn.turn_index for turn in turns],
        "text": _texts(contents),
        "tool_result_count": [len(turn.tool_results) for turn in turns],
        **_block_counts(contents),
    }


def _conversation_trace_values(traces: Sequence[ConversationTrace]) -> Values:
    return {
        "verdict": [trace.verdict for trace in traces],
        "run": [None] * len(traces),
        "tools": [None] * len(traces),
        "dropped": [0] * len(traces),
        "dropped.kind": [],
        "dropped.count": [],
    }


def _conversation_turn_values(traces: Sequence[ConversationTrace]) -> Values:
    turns = [turn for trace in traces for turn in trace.invocation.turns]
    return {
        "context": [False] * len(turns),
        "reasoning": [_reasoning(turn.assistant_message.content) for turn in turns],
        **_tool_results(traces, turns),
    }


def _tool_results(traces: Sequence[ConversationTrace], turns: Sequence[ConversationTurn]) -> Values:
    """Return the results of every turn, each with the name of the call that it answers."""
    names: list[str | None] = []
    for turn in turns:
        results, calls = turn.tool_results, turn.tool_calls
        if len(results) == 1 and calls and calls[0].id == results[0].tool_call_id:  # nearly all: by a tenth of the time
            names.append(calls[0].name)
        elif results:
            names += _names_in_turn(turn)
    if None in names:
        return _bound_tool_results(traces)
    none = [0] * len(turns)
    every = [result for turn in turns for result in turn.tool_results]
    return _result_values([len(turn.tool_results) for turn in turns], every, names, none, none)


def _names_in_turn(turn: ConversationTurn) -> list[str | None]:
    """Return for each result of a turn the name of its call, None where the rest of the trace decides which that is."""
    names = {call.id: call.name for call in turn.tool_calls}
    if len(names) < len(turn.tool_calls) or "" in names:
        return [None]
    return [names.get(result.tool_call_id) for result in turn.tool_results]


def _bound_tool_results(traces: Sequence[ConversationTrace]) -> Values:
    """Return the results by the turns of the calls that they answer."""
    lengths: list[int] = []
    results: list[ToolResult] = []
    names: list[str | None] = []
    orphans: list[int] = []
    moved: list[int] = []
    for trace in traces:
        turns = trace.invocation.turns
        in_turns = [_names_in_turn(turn) if turn.tool_results else [] for turn in turns]
        if not any(None in names_in_turn for names_in_turn in in_turns):
            lengths += map(len, in_turns)
            results += [result for turn in turns for result in turn.tool_results]
            names += [name for names_in_turn in in_turns for name in names_in_turn]
            orphans += [0] * len(turns)
            moved += [0] * len(turns)
            continue
        bound, of_trace = _bound(trace)
        orphans += bound.orphans
        moved += bound.moved
        for turn, in_turn in zip(turns, bound.by_turn, strict=True):
            lengths.append(len(in_turn))
            results += [of_trace[number] for number, _ in in_turn]
            names += [turn.tool_calls[place].name for _, place in in_turn]
    return _result_values(lengths, results, names, orphans, moved)


def _result_values(
    lengths: list[int],
    results: Sequence[ToolResult],
    names: list[str | None],
    orphans: list[int],
    moved: list[int],
) -> Values:
    return {
        "tool_results": lengths,
        "tool_results.tool_call_id": [result.tool_call_id for result in results],
        "tool_results.name": names,
        "tool_results.text": _texts([result.content for result in results]),
        "tool_results.is_error": [result.is_error for result in results],
        "tool_result_count": lengths,
        "orphan_results": orphans,
        "moved_results": moved,
    }


def _bound(trace: ConversationTrace) -> tuple[BoundResults, list[ToolResult]]:
    turns = trace.invocation.turns
    placed = [(place, result) for place, turn in enumerate(turns) for result in turn.tool_results]
    call_ids = [[call.id for call in turn.tool_calls] for turn in turns]
    bound = bind_results(call_ids, [(place, result.tool_call_id) for place, result in placed])
    return bound, [result for _, result in placed]


def _full_trace_values(traces: Sequence[FullTrace]) -> Values:
    metrics = [metric for trace in traces for metric in trace.metric_results or ()]
    invocations = [trace.invocation for trace in traces]
    return {
        "metrics.evaluator_name": [metric.evaluator_name for metric in metrics],
        "metrics.threshold": [metric.score.threshold for metric in metrics],
        "metrics.details": [metric.details for metric in metrics],
        "provider": [invocation.model.provider for invocation in invocations],
        "thinking_level": [invocation.model.thinking_level for invocation in invocations],
        "stop_reason": [invocation.stop_reason for invocation in invocations],
        "error": [_error(invocation) for invocation in invocations],
        "extra": [None] * len(traces),
        "duration_seconds": _seconds([invocation.total_duration for invocation in invocations]),
        **_usage([i.total_usage for i in invocations], [i.total_cost for i in invocations]),
    }


def _error(invocation: FullInvocation) -> str | None:
    """Return what the last message says of an error with which the invocation ended."""
    if invocation.stop_reason != "error" or not invocation.turns:
        return None
    return invocation.turns[-1].assistant_message.error_message


def _full_turn_values(turns: Sequence[FullTurn]) -> Values:
    messages = [turn.assistant_message for turn in turns]
    return {
        "provider": [message.provider for message in messages],
        "model_id": [message.model_id for message in messages],
        "stop_reason": [message.stop_reason for message in messages],
        "error_message": [message.error_message for message in messages],
        "timestamp": [message.timestamp for message in messages],
        "duration_seconds": _seconds([turn.duration for turn in turns]),
        **_usage([message.usage for message in messages], [message.cost for message in messages]),
    }


def _texts(contents: Sequence[Sequence[Any]]) -> list[str]:
    """Join the text blocks of every message; the text of other blocks is empty."""
    return [blocks[0].text if len(blocks) == 1 else "".join([block.text for block in blocks]) for blocks in contents]


def _reasoning(blocks: Sequence[FullBlock]) -> str | None:
    thoughts = [block.thinking for block in blocks if type(block) is Thinking]
    return "".join(thoughts) if thoughts else None


def _block_counts(contents: Sequence[Sequence[object]]) -> Values:
    """Count, per message, the blocks of each kind that is not text and not a repeated call; mostly there are none."""
    counts = {name: [0] * len(contents) for name in _COUNTED.values()}
    if _COUNTED.keys().isdisjoint(map(type, chain.from_iterable(contents))):
        return cast("Values", counts)
    for row, blocks in enumerate(contents):
        for block in blocks:
            if name := _COUNTED.get(type(block)):
                counts[name][row] += 1
    return cast("Values", counts)


def _usage(tokens: Sequence[Counts | None], costs: Sequence[Amounts | None]) -> Values:
    columns: Values = {}
    for kind in _USAGE_KINDS:
        columns[f"{kind}_tokens"] = [getattr(of, kind, None) for of in tokens]
        columns[f"{kind}_cost"] = [getattr(of, kind, None) for of in costs]
    return columns


def _seconds(durations: Sequence[Duration | None]) -> list[float | None]:
    return [d.secs + d.nanos / 1e9 if d else None for d in durations]
