"""The columns of the tables `traces` and `turns`, as data: their names, their types and what they mean.

Both tables come at several levels of detail; below `Projection.FULL` a metric has only its `value`. At `Projection.SELECTION`
there is only the table `traces`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from polars_export.tables.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["TRACES", "TURNS", "Column", "polars_schema"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `detail` is the least level of detail at which the table has it."""

    name: str
    dtype: pl.DataType
    doc: str
    detail: Projection = Projection.FULL


_TEXT, _COUNT, _NUMBER, _SECONDS = pl.String(), pl.UInt32(), pl.Int64(), pl.Float64()

_METRIC = pl.Struct({"evaluator_name": _TEXT, "value": pl.Float64(), "threshold": pl.Float64(), "details": _TEXT})
_TOOL_CALL = pl.Struct({"id": _TEXT, "name": _TEXT, "arguments": _TEXT})
_TOOL_RESULT = pl.Struct({"tool_call_id": _TEXT, "text": _TEXT, "is_error": pl.Boolean()})


def _usage(of: str) -> tuple[Column, ...]:
    """Tokens and costs: the upstream's `usage` and `cost` of `of`, null where it recorded none."""
    kinds = ("input", "output", "cache_read", "cache_write", "total")
    return (
        *(Column(f"{kind}_tokens", _NUMBER, f"{kind} tokens of {of}") for kind in kinds),
        *(Column(f"{kind}_cost", pl.Float64(), f"cost of the {kind} tokens of {of}, in US dollars") for kind in kinds),
    )


TRACES: tuple[Column, ...] = (
    Column(
        "trace",
        pl.UInt64(),
        "number of the trace in the order read, from 0; joins the two tables",
        Projection.SELECTION,
    ),
    Column("source", _TEXT, "file that the trace was read from, as found; `-` is standard input"),
    Column("position", pl.UInt64(), "line number from 1, or index from 0 in a document's `case_results`"),
    Column("eval_set_id", _TEXT, "eval set of the case; null on lines that do not name one", Projection.SELECTION),
    Column("case_id", _TEXT, "case; traces of one eval set and case are runs of the same task", Projection.SELECTION),
    Column("system_prompt", _TEXT, "the case's system prompt; null unless its eval set is joined"),
    Column("verdict", _TEXT, "`pass` or `fail`; null on scored traces", Projection.CONVERSATIONS),
    Column(
        "score",
        pl.Float64(),
        "mean of the metric values, 0.0 without metrics; a scored trace's own",
        Projection.SELECTION,
    ),
    Column("metrics", pl.List(_METRIC), "one entry per metric; empty on scored traces", Projection.SELECTION),
    Column("provider", _TEXT, "provider of the invocation's model"),
    Column("model_id", _TEXT, "the invocation's model", Projection.RECORDS),
    Column("thinking_level", _TEXT, "the invocation's thinking level"),
    Column("stop_reason", _TEXT, "why the invocation ended: stop, length, tool_use, aborted, error or transfer"),
    Column("final_response", _TEXT, "the invocation's final response; null if it gave none", Projection.SELECTION),
    Column("turns", _COUNT, "number of turns: that many rows of `turns` belong to this row", Projection.SELECTION),
    Column("duration_seconds", _SECONDS, "how long the invocation took"),
    *_usage("the whole invocation"),
)
"""One row per trace, in the order read."""

TURNS: tuple[Column, ...] = (
    Column("trace", pl.UInt64(), "the row of `traces` that the turn belongs to", Projection.RECORDS),
    Column("turn", _COUNT, "place of the turn in its trace, from 0"),
    Column(
        "turn_index", _NUMBER, "the turn's own `turn_index`: need be neither ordered nor unique", Projection.RECORDS
    ),
    Column("user_messages", pl.List(_TEXT), "the user's messages before the turn; empty unless the eval set is joined"),
    Column("text", _TEXT, "the assistant's text blocks, joined with nothing between", Projection.RECORDS),
    Column(
        "reasoning",
        _TEXT,
        "the assistant's thinking blocks, joined with nothing between; null without any",
        Projection.CONVERSATIONS,
    ),
    Column(
        "tool_calls",
        pl.List(_TOOL_CALL),
        "the calls in order; `arguments` is the JSON value in compact form, keys in the order of the source",
        Projection.RECORDS,
    ),
    Column(
        "tool_results",
        pl.List(_TOOL_RESULT),
        "the results in order; `text` joins their text blocks",
        Projection.CONVERSATIONS,
    ),
    Column("tool_result_count", _COUNT, "number of tool results", Projection.RECORDS),
    Column("thinking_blocks", _COUNT, "number of thinking blocks of the assistant's message", Projection.RECORDS),
    Column("image_blocks", _COUNT, "number of image blocks of the assistant's message; not held", Projection.RECORDS),
    Column(
        "extension_blocks",
        _COUNT,
        "number of extension blocks of the assistant's message; not held",
        Projection.RECORDS,
    ),
    Column("unknown_blocks", _COUNT, "number of blocks of an unknown type; not held", Projection.RECORDS),
    Column("provider", _TEXT, "provider of the message's model"),
    Column("model_id", _TEXT, "the message's model"),
    Column("stop_reason", _TEXT, "why the message ended"),
    Column("error_message", _TEXT, "the message's error; null without one"),
    Column("timestamp", _NUMBER, "when the message was recorded, in Unix seconds"),
    Column("duration_seconds", _SECONDS, "how long the turn took"),
    *_usage("the assistant's message"),
)
"""One row per turn, in the order of the traces and, within a trace, of its turns."""


def polars_schema(columns: Iterable[Column], detail: Projection) -> pl.Schema:
    """Return the schema that a table of these columns has at a level of detail."""
    return pl.Schema({column.name: column.dtype for column in columns if column.detail <= detail})
