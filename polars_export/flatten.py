"""Decoded records to the Arrow tables `traces` (one row per trace) and `turns` (one row per turn).

Each column is one comprehension over the records: about twice as fast as one loop that appends to many lists. Which
columns there are, and what they mean, is said in `schema`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import msgspec
import polars as pl
import pyarrow as pa

from polars_export.decode.records import Extension, Image, SkippedThinking, Text, Thinking, UnknownBlock
from polars_export.nested import arrow, lists, owners, strings, structs
from polars_export.schema import TRACES, TURNS, Detail, polars_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from polars_export.decode import Decoded
    from polars_export.decode.records import (
        Amounts,
        ConversationTrace,
        ConversationTurn,
        Counts,
        Duration,
        FullBlock,
        FullTrace,
        FullTurn,
        Turn,
    )

__all__ = ["Batch", "flatten"]

Columns: TypeAlias = dict[str, pl.Series | pa.Array]

_ENCODE = msgspec.json.Encoder().encode_lines
_ENCODE_SORTED = msgspec.json.Encoder(order="sorted").encode_lines
_COUNTED: dict[type, str] = {
    SkippedThinking: "thinking_blocks",
    Thinking: "thinking_blocks",
    Image: "image_blocks",
    Extension: "extension_blocks",
    UnknownBlock: "unknown_blocks",
}
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG_INTEGER = b"0" * 19  # digits that an integer beyond 64 bits has at least; found so ten times as fast as by a regex
_USAGE_KINDS = ("input", "output", "cache_read", "cache_write", "total")


@dataclass(frozen=True, slots=True)
class Batch:
    """Some consecutive traces as tables: a row of `traces` is a trace, a row of `turns` is a turn of one of these."""

    traces: pa.Table
    turns: pa.Table


def flatten(decoded: Decoded, first_trace: int = 0, *, sort_arguments: bool = False) -> Batch:
    """Flatten the traces of a chunk, at the level of detail at which they were decoded.

    The tables have the columns of that level, except that `traces` has `recorded_score` (what a scored trace brings,
    else null) in place of `score`: that one is computed by `scoring`. Below full detail, integers beyond 64 bits in
    arguments become numbers in double precision: so the reference reads them, and readers of datasets fail on them.

    Args:
        decoded: The traces.
        first_trace: Number of the first of them.
        sort_arguments: Whether the keys of tool-call arguments are sorted by their UTF-8 bytes at every depth, as the
            reference does, instead of standing in the order of the source. Cheap here, where the values are at hand;
            later it would mean parsing again.
    """
    traces = decoded.traces
    turns = [turn for trace in traces for turn in trace.invocation.turns]
    trace_columns = _trace_columns(decoded, first_trace)
    calls = _tool_calls(turns, sort_keys=sort_arguments, exact=decoded.detail is Detail.FULL)
    turn_columns = _turn_columns(turns) | {"tool_calls": calls}
    turn_columns["trace"] = owners(trace_columns["turns"]).cast(pl.UInt64) + first_trace
    if decoded.detail >= Detail.CONVERSATIONS:
        trace_columns["verdict"] = strings([trace.verdict for trace in cast("Sequence[ConversationTrace]", traces)])
        turn_columns |= _conversation_columns(cast("Sequence[ConversationTurn]", turns))
    if decoded.detail is Detail.FULL:
        trace_columns |= _full_trace_columns(decoded, cast("Sequence[FullTrace]", traces))
        turn_columns |= _full_turn_columns(trace_columns["turns"], cast("Sequence[FullTurn]", turns))
    trace_names = ["recorded_score" if name == "score" else name for name in polars_schema(TRACES, decoded.detail)]
    return Batch(
        _table(trace_columns, trace_names),
        _table(turn_columns, polars_schema(TURNS, decoded.detail)),
    )


def _trace_columns(decoded: Decoded, first_trace: int) -> Columns:
    traces = decoded.traces
    metrics = [trace.metric_results or () for trace in traces]
    values = [metric.score.value for of_trace in metrics for metric in of_trace]
    scores = [trace.score if trace.metric_results is msgspec.UNSET else None for trace in traces]
    of_document = decoded.chunk.eval_set_id
    eval_sets = [trace.eval_set_id if of_document is None else of_document for trace in traces]
    return {
        "trace": pl.int_range(first_trace, first_trace + len(traces), dtype=pl.UInt64, eager=True),
        "eval_set_id": strings(eval_sets),
        "case_id": strings([trace.case_id for trace in traces]),
        "recorded_score": pl.Series(scores, dtype=pl.Float64),
        "metrics": lists(_lengths(metrics), structs({"value": arrow(pl.Series(values, dtype=pl.Float64))})),
        "model_id": strings([trace.invocation.model.model_id for trace in traces]),
        "final_response": strings([trace.invocation.final_response for trace in traces]),
        "turns": _lengths([trace.invocation.turns for trace in traces]),
    }


def _turn_columns(turns: Sequence[Turn]) -> Columns:
    contents = [turn.assistant_message.content for turn in turns]
    return {
        "turn_index": pl.Series([turn.turn_index for turn in turns], dtype=pl.Int64),
        "text": _texts(contents),
        "tool_result_count": _lengths([turn.tool_results for turn in turns]),
        **_block_counts(contents),
    }


def _tool_calls(turns: Sequence[Turn], *, sort_keys: bool, exact: bool) -> pa.ListArray:
    calls = [call for turn in turns for call in turn.tool_calls]
    encode_lines = _ENCODE_SORTED if sort_keys else _ENCODE
    # One line per value: encoding them together and splitting is cheaper than one call and one string for each.
    encoded = encode_lines([call.arguments for call in calls])
    if not exact and _LONG_INTEGER in encoded.translate(_DIGITS_TO_ZERO):
        encoded = encode_lines([_within_64_bits(call.arguments) for call in calls])
    arguments = encoded.decode().split("\n")[:-1]
    columns = {
        "id": strings([call.id for call in calls]),
        "name": strings([call.name for call in calls]),
        "arguments": strings(arguments),
    }
    return lists(_lengths([turn.tool_calls for turn in turns]), structs({n: arrow(c) for n, c in columns.items()}))


def _within_64_bits(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value whose integers beyond 64 bits are floating-point numbers."""
    match value:
        case dict():
            return {key: _within_64_bits(item) for key, item in value.items()}
        case list():
            return [_within_64_bits(item) for item in value]
        case int() if not -(2**63) <= value < 2**64:
            return float(value)
    return value


def _full_trace_columns(decoded: Decoded, traces: Sequence[FullTrace]) -> Columns:
    size = len(traces)
    metrics = [trace.metric_results or () for trace in traces]
    flat = [metric for of_trace in metrics for metric in of_trace]
    metric_columns = {
        "evaluator_name": strings([metric.evaluator_name for metric in flat]),
        "value": pl.Series([metric.score.value for metric in flat], dtype=pl.Float64),
        "threshold": pl.Series([metric.score.threshold for metric in flat], dtype=pl.Float64),
        "details": strings([metric.details for metric in flat]),
    }
    invocations = [trace.invocation for trace in traces]
    return {
        "source": pl.repeat(_printable(decoded.chunk.source), size, dtype=pl.String, eager=True),
        "position": pl.Series(decoded.chunk.positions, dtype=pl.UInt64),
        "system_prompt": pl.repeat(None, size, dtype=pl.String, eager=True),
        "metrics": lists(_lengths(metrics), structs({n: arrow(c) for n, c in metric_columns.items()})),
        "provider": strings([invocation.model.provider for invocation in invocations]),
        "thinking_level": strings([invocation.model.thinking_level for invocation in invocations]),
        "stop_reason": strings([invocation.stop_reason for invocation in invocations]),
        "duration_seconds": _seconds([invocation.total_duration for invocation in invocations]),
        **_usage([i.total_usage for i in invocations], [i.total_cost for i in invocations]),
    }


def _conversation_columns(turns: Sequence[ConversationTurn]) -> Columns:
    return {
        "reasoning": strings([_reasoning(turn.assistant_message.content) for turn in turns]),
        "tool_results": _tool_results(turns),
    }


def _full_turn_columns(turns_per_trace: pl.Series, turns: Sequence[FullTurn]) -> Columns:
    messages = [turn.assistant_message for turn in turns]
    first = turns_per_trace.cum_sum() - turns_per_trace
    place = pl.int_range(len(turns), dtype=pl.UInt32, eager=True) - first.gather(owners(turns_per_trace))
    return {
        "turn": place,
        "user_messages": lists(pl.repeat(0, len(turns), dtype=pl.UInt32, eager=True), arrow(strings([]))),
        "provider": strings([message.provider for message in messages]),
        "model_id": strings([message.model_id for message in messages]),
        "stop_reason": strings([message.stop_reason for message in messages]),
        "error_message": strings([message.error_message for message in messages]),
        "timestamp": pl.Series([message.timestamp for message in messages], dtype=pl.Int64),
        "duration_seconds": _seconds([turn.duration for turn in turns]),
        **_usage([message.usage for message in messages], [message.cost for message in messages]),
    }


def _tool_results(turns: Sequence[ConversationTurn]) -> pa.ListArray:
    results = [result for turn in turns for result in turn.tool_results]
    columns = {
        "tool_call_id": strings([result.tool_call_id for result in results]),
        "text": _texts([result.content for result in results]),
        "is_error": pl.Series([result.is_error for result in results], dtype=pl.Boolean),
    }
    return lists(_lengths([turn.tool_results for turn in turns]), structs({n: arrow(c) for n, c in columns.items()}))


def _texts(contents: Sequence[Sequence[Any]]) -> pl.Series:
    """Join the text blocks of every message; most messages start with their only one."""
    return strings(
        [
            blocks[0].text if len(blocks) == 1 and type(blocks[0]) is Text else _joined(blocks) for blocks in contents
        ]
    )


def _joined(blocks: Sequence[Any]) -> str:
    return "".join([block.text for block in blocks if type(block) is Text])


def _reasoning(blocks: Sequence[FullBlock]) -> str | None:
    thoughts = [block.thinking for block in blocks if type(block) is Thinking]
    return "".join(thoughts) if thoughts else None


def _block_counts(contents: Sequence[Sequence[object]]) -> dict[str, pl.Series]:
    """Count, per message, the blocks of each kind that is not text and not a repeated call."""
    counts = {name: [0] * len(contents) for name in _COUNTED.values()}
    for row, blocks in enumerate(contents):
        if len(blocks) == 1 and type(blocks[0]) is Text:
            continue
        for block in blocks:
            if name := _COUNTED.get(type(block)):
                counts[name][row] += 1
    return {name: pl.Series(values, dtype=pl.UInt32) for name, values in counts.items()}


def _usage(tokens: Sequence[Counts | None], costs: Sequence[Amounts | None]) -> Columns:
    columns: Columns = {}
    for kind in _USAGE_KINDS:
        columns[f"{kind}_tokens"] = pl.Series([getattr(of, kind, None) for of in tokens], dtype=pl.Int64)
        columns[f"{kind}_cost"] = pl.Series([getattr(of, kind, None) for of in costs], dtype=pl.Float64)
    return columns


def _seconds(durations: Sequence[Duration | None]) -> pl.Series:
    return pl.Series([d.secs + d.nanos / 1e9 if d else None for d in durations], dtype=pl.Float64)


def _printable(name: str) -> str:
    """Return a file's name with bytes that are not UTF-8, which a column cannot hold, as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _lengths(values: Sequence[Sequence[object]]) -> pl.Series:
    return pl.Series([len(value) for value in values], dtype=pl.UInt32)


def _table(columns: Columns, names: Iterable[str]) -> pa.Table:
    arrays = {name: columns[name] for name in names}
    return pa.table({n: arrow(column) if isinstance(column, pl.Series) else column for n, column in arrays.items()})
