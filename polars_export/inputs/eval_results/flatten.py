"""Decoded records to the Arrow tables `traces` (one row per trace) and `turns` (one row per turn).

Each column is one comprehension over the records: about twice as fast as one loop that appends to many lists. Which
columns there are, and what they mean, is said in `schema`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import msgspec
import polars as pl
import pyarrow as pa

from polars_export.inputs.eval_results.records import Extension, Image, SkippedThinking, Thinking, UnknownBlock
from polars_export.tables.nested import arrow, lists, parent_rows, structs
from polars_export.tables.projection import Projection
from polars_export.tables.schema import TRACES, TURNS, polars_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from polars_export.inputs.eval_results.records import (
        Amounts,
        ConversationTrace,
        ConversationTurn,
        Counts,
        Duration,
        FullBlock,
        FullTrace,
        FullTurn,
        Trace,
        TraceOutline,
        Turn,
    )
    from polars_export.sources.chunk import Chunk

__all__ = ["Batch", "ColumnBuilder", "flatten"]

Values: TypeAlias = dict[str, list[Any]]
"""The values of columns. A list column has the lengths of its lists under its name, and the values of a field of its
items under both names with a dot between."""

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
_LONG_INTEGER = b"0" * 19
"""So many digits an integer beyond 64 bits has at least. Looking for them so is ten times as fast as by a regex."""
_USAGE_KINDS = ("input", "output", "cache_read", "cache_write", "total")


@dataclass(frozen=True, slots=True)
class Batch:
    """Some consecutive traces as tables: a row of `traces` is a trace, a row of `turns` is a turn of one of these."""

    traces: pa.Table
    turns: pa.Table


def flatten(
    traces: Sequence[TraceOutline], detail: Projection, *, first_trace: int = 0, chunk: Chunk | None = None
) -> Batch:
    """Flatten traces at once; see `ColumnBuilder`, and `ColumnBuilder.add` for the chunk.

    Args:
        traces: The traces.
        detail: The level of detail at which they were decoded.
        first_trace: Number of the first of them.
        chunk: Where they stood.
    """
    rows = ColumnBuilder(detail)
    rows.add(traces, chunk)
    return rows.batch(first_trace)


class ColumnBuilder:
    """Traces taken apart into the values of the columns, gathered chunk by chunk.

    Records are cheapest to take apart and to free just after they were decoded, while they are in the processor's
    cache; tables are cheapest to make of many traces.

    The tables have the columns of a level of detail, except that `traces` has `recorded_score` (what a scored trace
    brings, else null) in place of `score`: that one is computed by `scoring`. Below full detail, integers beyond 64
    bits in arguments become numbers in double precision: so the reference reads them, and readers of datasets fail on
    them.

    Args:
        detail: The level of detail at which the traces are decoded.
        sort_arguments: Whether the keys of tool-call arguments are sorted by their UTF-8 bytes at every depth, as the
            reference does, instead of standing in the order of the source. Cheap here, where the values are at hand;
            later it would mean parsing again.
    """

    def __init__(self, detail: Projection, *, sort_arguments: bool = False) -> None:
        self._projection = detail
        self._encode = _ENCODE_SORTED if sort_arguments else _ENCODE
        self._traces: Values = {}
        self._turns: Values = {}

    def __len__(self) -> int:
        """Return the number of traces."""
        return len(self._traces.get("case_id", ()))

    def add(self, traces: Sequence[TraceOutline], chunk: Chunk | None = None) -> None:
        """Take traces apart; at full detail `chunk` tells where they stood."""
        detail = self._projection
        _extend(self._traces, _outline_values(traces))
        if detail >= Projection.RECORDS:
            models = [trace.invocation.model.model_id for trace in cast("Sequence[Trace]", traces)]
            _extend(self._traces, {"model_id": models})
            self._add_turns([turn for trace in traces for turn in cast("Trace", trace).invocation.turns])
        if detail >= Projection.CONVERSATIONS:
            verdicts = [trace.verdict for trace in cast("Sequence[ConversationTrace]", traces)]
            _extend(self._traces, {"verdict": verdicts})
        if detail is Projection.FULL and chunk:
            _extend(self._traces, _full_trace_values(chunk, cast("Sequence[FullTrace]", traces)))
            places = [place for trace in traces for place in range(len(trace.invocation.turns))]
            _extend(self._turns, {"turn": places})

    def _add_turns(self, turns: Sequence[Turn]) -> None:
        _extend(self._turns, _turn_values(turns))
        _extend(self._turns, self._tool_calls(turns))
        if self._projection >= Projection.CONVERSATIONS:
            _extend(self._turns, _conversation_values(cast("Sequence[ConversationTurn]", turns)))
        if self._projection is Projection.FULL:
            _extend(self._turns, _full_turn_values(cast("Sequence[FullTurn]", turns)))

    def _tool_calls(self, turns: Sequence[Turn]) -> Values:
        calls = [call for turn in turns for call in turn.tool_calls]
        # One line per value: encoding them together and splitting is cheaper than one call and one string for each.
        encoded = self._encode([call.arguments for call in calls])
        if self._projection is not Projection.FULL and _LONG_INTEGER in encoded.translate(_DIGITS_TO_ZERO):
            encoded = self._encode([_within_64_bits(call.arguments) for call in calls])
        return {
            "tool_calls": [len(turn.tool_calls) for turn in turns],
            "tool_calls.id": [call.id for call in calls],
            "tool_calls.name": [call.name for call in calls],
            "tool_calls.arguments": encoded.decode().split("\n")[:-1],
        }

    def batch(self, first_trace: int = 0) -> Batch:
        """Return the tables of the traces added since the last batch; `first_trace` is the number of the first."""
        traces, turns = self._traces, self._turns
        self._traces, self._turns = {}, {}
        lengths = pl.Series(traces["turns"], dtype=pl.UInt32)
        trace = {"trace": pl.int_range(first_trace, first_trace + len(lengths), dtype=pl.UInt64, eager=True)}
        schema = polars_schema(TRACES, self._projection)
        table = _table(trace, traces, {"recorded_score" if name == "score" else name: schema[name] for name in schema})
        if self._projection < Projection.RECORDS:
            return Batch(table, pa.table({}))
        owner = {"trace": parent_rows(lengths).cast(pl.UInt64) + first_trace}
        return Batch(table, _table(owner, turns, polars_schema(TURNS, self._projection)))


def _extend(columns: Values, more: Values) -> None:
    for name, values in more.items():
        columns.setdefault(name, []).extend(values)


def _outline_values(traces: Sequence[TraceOutline]) -> Values:
    metrics = [trace.metric_results or () for trace in traces]
    return {
        "eval_set_id": [trace.eval_set_id for trace in traces],
        "case_id": [trace.case_id for trace in traces],
        "recorded_score": [trace.score if trace.metric_results is msgspec.UNSET else None for trace in traces],
        "metrics": list(map(len, metrics)),
        "metrics.value": [metric.score.value for of_trace in metrics for metric in of_trace],
        "final_response": [trace.invocation.final_response for trace in traces],
        "turns": [len(trace.invocation.turns) for trace in traces],
    }


def _turn_values(turns: Sequence[Turn]) -> Values:
    contents = [turn.assistant_message.content for turn in turns]
    return {
        "turn_index": [turn.turn_index for turn in turns],
        "text": _texts(contents),
        "tool_result_count": [len(turn.tool_results) for turn in turns],
        **_block_counts(contents),
    }


def _conversation_values(turns: Sequence[ConversationTurn]) -> Values:
    results = [result for turn in turns for result in turn.tool_results]
    return {
        "reasoning": [_reasoning(turn.assistant_message.content) for turn in turns],
        "tool_results": [len(turn.tool_results) for turn in turns],
        "tool_results.tool_call_id": [result.tool_call_id for result in results],
        "tool_results.text": _texts([result.content for result in results]),
        "tool_results.is_error": [result.is_error for result in results],
    }


def _full_trace_values(chunk: Chunk, traces: Sequence[FullTrace]) -> Values:
    size = len(traces)
    metrics = [metric for trace in traces for metric in trace.metric_results or ()]
    invocations = [trace.invocation for trace in traces]
    return {
        "source": [_printable(chunk.source)] * size,
        "position": list(chunk.positions),
        "system_prompt": [None] * size,
        "metrics.evaluator_name": [metric.evaluator_name for metric in metrics],
        "metrics.threshold": [metric.score.threshold for metric in metrics],
        "metrics.details": [metric.details for metric in metrics],
        "provider": [invocation.model.provider for invocation in invocations],
        "thinking_level": [invocation.model.thinking_level for invocation in invocations],
        "stop_reason": [invocation.stop_reason for invocation in invocations],
        "duration_seconds": _seconds([invocation.total_duration for invocation in invocations]),
        **_usage([i.total_usage for i in invocations], [i.total_cost for i in invocations]),
    }


def _full_turn_values(turns: Sequence[FullTurn]) -> Values:
    messages = [turn.assistant_message for turn in turns]
    return {
        "user_messages": [[]] * len(turns),
        "provider": [message.provider for message in messages],
        "model_id": [message.model_id for message in messages],
        "stop_reason": [message.stop_reason for message in messages],
        "error_message": [message.error_message for message in messages],
        "timestamp": [message.timestamp for message in messages],
        "duration_seconds": _seconds([turn.duration for turn in turns]),
        **_usage([message.usage for message in messages], [message.cost for message in messages]),
    }


def _within_64_bits(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value, changed in place, whose integers beyond 64 bits are floating-point numbers.

    Those beyond the largest double stay: there is no other way to write them.
    """
    held = [value]
    left: list[Any] = [held]
    while left:  # not by recursion: arguments may be nested as deep as the decoder goes
        container = left.pop()
        for key, item in container.items() if isinstance(container, dict) else enumerate(container):
            if isinstance(item, (dict, list)):
                left.append(item)
            elif isinstance(item, int) and not -(2**63) <= item < 2**64:
                with suppress(OverflowError):
                    container[key] = float(item)
    return held[0]


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


def _printable(name: str) -> str:
    """Return a file's name with bytes that are not UTF-8, which a column cannot hold, as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _table(known: Mapping[str, pl.Series], values: Values, schema: Mapping[str, pl.DataType]) -> pa.Table:
    """Make a table of columns that are known and values for the others."""
    columns = {name: arrow(known[name]) if name in known else _column(name, values, schema[name]) for name in schema}
    return pa.table(columns)


def _column(name: str, values: Values, dtype: pl.DataType) -> pa.Array:
    """Make a column; `strict=False` skips a check of every value that decoding has made already."""
    if isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.Struct):
        fields = {
            field.name: cast("pl.DataType", field.dtype)
            for field in dtype.inner.fields
            if f"{name}.{field.name}" in values
        }
        items = {field: _column(f"{name}.{field}", values, kind) for field, kind in fields.items()}
        return lists(pl.Series(values[name], dtype=pl.UInt32), structs(items))
    return arrow(pl.Series(values[name], dtype=dtype, strict=False))
