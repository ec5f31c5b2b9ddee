"""The columns of the tables `traces` and `turns`, as data: their names, their types and what they mean.

Both tables come at several projections; below `Projection.FULL` a metric has only its `value`. At
`Projection.SELECTION` there is only the table `traces`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from polars_export.tables.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["MESSAGE", "TRACES", "TURNS", "Column", "polars_schema", "projection_of"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `projection` is the least one at which the table has it."""

    name: str
    dtype: pl.DataType
    doc: str
    projection: Projection = Projection.FULL


_TEXT, _COUNT, _NUMBER, _SECONDS = pl.String(), pl.UInt32(), pl.Int64(), pl.Float64()
_SELECTION, _RECORDS, _CONVERSATIONS = Projection.SELECTION, Projection.RECORDS, Projection.CONVERSATIONS

MESSAGE = pl.Struct({"role": _TEXT, "content": _TEXT, "name": _TEXT})
"""A message that is not the assistant's: `role` is `system` or `user`, `name` null where the source gives none."""

_METRIC = pl.Struct({"evaluator_name": _TEXT, "value": pl.Float64(), "threshold": pl.Float64(), "details": _TEXT})
_TOOL_CALL = pl.Struct({"id": _TEXT, "name": _TEXT, "arguments": _TEXT})
_DROPPED = pl.Struct({"kind": _TEXT, "count": _COUNT})
_TOOL_RESULT = pl.Struct({"tool_call_id": _TEXT, "name": _TEXT, "text": _TEXT, "is_error": pl.Boolean()})


def _usage(of: str) -> tuple[Column, ...]:
    """Tokens and costs of `of`, null where the source gives none."""
    kinds = ("input", "output", "cache_read", "cache_write", "total")
    return (
        *(Column(f"{kind}_tokens", _NUMBER, f"{kind} tokens of {of}") for kind in kinds),
        *(Column(f"{kind}_cost", pl.Float64(), f"cost of the {kind} tokens of {of}, in US dollars") for kind in kinds),
    )


TRACES: tuple[Column, ...] = (
    Column("trace", pl.UInt64(), "number of the trace in the order read, from 0; joins the two tables", _SELECTION),
    Column("input", _TEXT, "kind of input that the trace was read from, such as `eval-results`"),
    Column("source", _TEXT, "file that the trace was read from, as found; `-` is standard input"),
    Column("position", pl.UInt64(), "line number from 1, or index from 0 in the array of a document"),
    Column("eval_set_id", _TEXT, "eval set of the case; null where the source names none", _SELECTION),
    Column("case_id", _TEXT, "case; traces of one eval set and case are runs of the same task", _SELECTION),
    Column("run", _TEXT, "what distinguishes the runs of a case; null without", _CONVERSATIONS),
    Column("verdict", _TEXT, "`pass` or `fail`; null where the source has none", _CONVERSATIONS),
    Column(
        "score", pl.Float64(), "the score that the source gives, else the mean of the metrics; null without", _SELECTION
    ),
    Column(
        "metrics",
        pl.List(_METRIC),
        "one entry per metric; a score that the source gives itself is none of them",
        _SELECTION,
    ),
    Column("provider", _TEXT, "provider of the trace's model"),
    Column("model_id", _TEXT, "model of the trace; null where the source names none", _RECORDS),
    Column("thinking_level", _TEXT, "thinking level of the model"),
    Column(
        "tools", pl.List(_TEXT), "function schemas of the tools in force, each as JSON; null if unknown", _CONVERSATIONS
    ),
    Column("stop_reason", _TEXT, "why the run ended: stop, length, tool_use, aborted, error or transfer"),
    Column("error", _TEXT, "what the recorder says of a run that crashed; null if it did not"),
    Column("extra", _TEXT, "columns of the user's own, as a JSON object; null without"),
    Column("final_response", _TEXT, "final response of the run; null if it gave none", _SELECTION),
    Column("turns", _COUNT, "number of turns: that many rows of `turns` belong to this row", _SELECTION),
    Column(
        "system_messages", _COUNT, "number of system messages, in `preceding` of its turns and `closing`", _SELECTION
    ),
    Column("user_messages", _COUNT, "number of users' messages, in `preceding` of its turns and `closing`", _SELECTION),
    Column("closing", pl.List(MESSAGE), "messages behind the last turn; all of a trace without turns", _CONVERSATIONS),
    Column(
        "dropped",
        pl.List(_DROPPED),
        "what the source has and no table a place for, by kind, beside what `turns` counts",
        _CONVERSATIONS,
    ),
    Column("duration_seconds", _SECONDS, "how long the run took"),
    *_usage("the whole run"),
)
"""One row per trace, in the order read."""

TURNS: tuple[Column, ...] = (
    Column("trace", pl.UInt64(), "the row of `traces` that the turn belongs to", _RECORDS),
    Column("turn", _COUNT, "place of the turn in its trace, from 0"),
    Column("turn_index", _NUMBER, "the source's own number: neither ordered nor unique; null without", _RECORDS),
    Column("context", pl.Boolean(), "whether the agent did not produce the message in this run", _CONVERSATIONS),
    Column("preceding", pl.List(MESSAGE), "messages of others between the turn before and this one", _CONVERSATIONS),
    Column("text", _TEXT, "the assistant's text blocks, joined with nothing between", _RECORDS),
    Column("reasoning", _TEXT, "its thinking blocks, joined with nothing between; null without any", _CONVERSATIONS),
    Column(
        "tool_calls",
        pl.List(_TOOL_CALL),
        "the calls in order; `arguments` is the JSON value in compact form, keys in the order of the source",
        _RECORDS,
    ),
    Column(
        "tool_results",
        pl.List(_TOOL_RESULT),
        "the results of these calls; `name` is that of the call, `text` joins their text blocks",
        _CONVERSATIONS,
    ),
    Column("tool_result_count", _COUNT, "number of tool results", _RECORDS),
    Column("orphan_results", _COUNT, "number of results that stood here and answer no call; not held", _CONVERSATIONS),
    Column("moved_results", _COUNT, "number of its results that stood at another turn", _CONVERSATIONS),
    Column("thinking_blocks", _COUNT, "number of thinking blocks of the assistant's message", _RECORDS),
    Column("image_blocks", _COUNT, "number of image blocks of the assistant's message; not held", _RECORDS),
    Column("extension_blocks", _COUNT, "number of extension blocks of the assistant's message; not held", _RECORDS),
    Column("unknown_blocks", _COUNT, "number of blocks of an unknown type; not held", _RECORDS),
    Column("provider", _TEXT, "provider of the message's model"),
    Column("model_id", _TEXT, "model of the message"),
    Column("stop_reason", _TEXT, "why the message ended"),
    Column("error_message", _TEXT, "error of the message; null without one"),
    Column("timestamp", _NUMBER, "when the message was recorded, in Unix seconds"),
    Column("duration_seconds", _SECONDS, "how long the turn took"),
    *_usage("the assistant's message"),
)
"""One row per turn, in the order of the traces and, within a trace, of its turns."""


def polars_schema(columns: Iterable[Column], projection: Projection) -> pl.Schema:
    """Return the schema that a table of these columns has at a projection."""
    return pl.Schema({column.name: column.dtype for column in columns if column.projection <= projection})


def projection_of(names: Collection[str]) -> Projection:
    """Return the least projection at which `traces` has all of some columns."""
    known = {column.name: column.projection for column in TRACES}
    return max((known[name] for name in names), default=Projection.SELECTION)
