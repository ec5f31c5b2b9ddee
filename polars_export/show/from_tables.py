"""Transcripts of traces, from rows of the tables."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from polars_export.show.transcript import Conversation, Entry, Kind, Section, not_shown
from polars_export.show.turn_entries import Call, Calls, assistant_entries, labelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from polars_export.tables.tables import Tables

__all__ = ["trace_at"]

_Row: TypeAlias = dict[str, Any]

_COUNTED = {
    "image_blocks": "images",
    "extension_blocks": "extension blocks",
    "unknown_blocks": "unknown blocks",
    "orphan_results": "results that answer no call",
}
"""Columns of `turns` that count what the tables do not hold."""


def trace_at(tables: Tables, index: int, place: str) -> Conversation:
    """Return the transcript of the trace in a row of the tables, which stands at a place."""
    trace = tables.traces.row(index, named=True)
    first = int(tables.traces["turns"].head(index).sum())
    turns = tables.turns.slice(first, trace["turns"]).to_dicts()
    entries = [*_known(trace), *_said(trace, turns), *_counted(turns)]
    return Conversation("trace", tuple(_facts(trace)), place, (Section(tuple(entries)),))


def _facts(trace: _Row) -> Iterable[str]:
    eval_set = trace["eval_set_id"]
    yield f"case {trace['case_id']}" if eval_set is None else f"case {eval_set}/{trace['case_id']}"
    if trace["run"] is not None:
        yield f"run {trace['run']}"
    yield "unscored" if trace["score"] is None else f"score {trace['score']}"
    if trace["verdict"] is not None:
        yield trace["verdict"]
    if trace["model_id"] is not None:
        yield f"model {trace['model_id']}"
    if trace["stop_reason"] not in {None, "stop"}:
        yield f"ended by {trace['stop_reason']}"


def _known(trace: _Row) -> Iterable[Entry]:
    """Yield what is known of a trace and takes more room than a heading has."""
    for metric in trace["metrics"]:
        threshold = "" if metric["threshold"] is None else f" (threshold {metric['threshold']})"
        details = f": {metric['details']}" if metric["details"] else ""
        yield Entry(Kind.FACT, "metric", f"{metric['evaluator_name']} {metric['value']}{threshold}{details}")
    if trace["tools"]:
        yield Entry(Kind.FACT, "tools", ", ".join(map(tool_name, trace["tools"])))
    if trace["extra"] is not None:
        yield Entry(Kind.FACT, "extra", trace["extra"])
    if trace["error"] is not None:
        yield Entry(Kind.ERROR, "crashed", trace["error"])


def _said(trace: _Row, turns: Sequence[_Row]) -> Iterable[Entry]:
    for turn in turns:
        yield from _others(turn["preceding"])
        yield from _turn(turn)
    yield from _others(trace["closing"])
    final = trace["final_response"]
    if final and not (turns and turns[-1]["text"] == final and not trace["closing"]):
        yield Entry(Kind.ASSISTANT, "final", final)


def _turn(turn: _Row) -> Iterable[Entry]:
    calls = Calls([Call(call["id"], call["name"], call["arguments"]) for call in turn["tool_calls"]])
    yield from assistant_entries(turn["text"], turn["reasoning"], calls, "context" if turn["context"] else None)
    if turn["error_message"] is not None:
        yield Entry(Kind.ERROR, "error", turn["error_message"])
    for result in turn["tool_results"]:
        yield calls.result(result["tool_call_id"], result["text"], is_error=bool(result["is_error"]))


def _others(messages: Iterable[_Row] | None) -> Iterable[Entry]:
    for message in messages or ():
        kind = Kind.SYSTEM if message["role"] == "system" else Kind.USER
        yield Entry(kind, labelled(message["role"], message["name"]), message["content"])


def _counted(turns: Sequence[_Row]) -> Iterable[Entry]:
    counts: Counter[str] = Counter()
    for turn in turns:
        counts.update({what: turn[column] or 0 for column, what in _COUNTED.items()})
    return not_shown(counts)


def tool_name(schema: str) -> str:
    """Return the name in a function schema, which is JSON; the schema itself where there is none."""
    try:
        decoded = msgspec.json.decode(schema)
        name = decoded.get("function", decoded).get("name")
    except (msgspec.MsgspecError, ValueError, AttributeError, RecursionError):
        return schema
    return name if isinstance(name, str) else schema
