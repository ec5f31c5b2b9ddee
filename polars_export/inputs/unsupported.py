"""Kinds of traces that are known and not read: what to do instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

__all__ = ["UNSUPPORTED", "describe_unsupported"]

_ROWS = "write one row with a list of messages for each trace, and export these rows"

UNSUPPORTED = {
    "otlp": f"OTLP (OpenTelemetry) traces are not read: their spans lie apart and repeat the history; {_ROWS}",
    "openinference": f"OpenInference traces are not read; {_ROWS}",
    "langfuse": f"Langfuse exports are not read; fetch each trace's messages through its API, then {_ROWS}",
    "langsmith": f"LangSmith exports are not read; export a dataset of messages from it, or {_ROWS}",
    "mlflow": f"MLflow traces are not read; {_ROWS}",
    "cursor": f"Cursor keeps its chats in a database, which is not read; export a chat, or {_ROWS}",
}
"""By the name that `--input` may give."""

_KEYS: dict[str, frozenset[str]] = {
    "otlp": frozenset({"resourceSpans"}),
    "langfuse": frozenset({"traceId", "observations"}),
    "langsmith": frozenset({"dotted_order", "run_type"}),
    "mlflow": frozenset({"info", "data", "trace_id"}),
}


def describe_unsupported(keys: AbstractSet[str]) -> str | None:
    """Return what to do about an object with these keys, if it is of such a kind."""
    return next((UNSUPPORTED[name] for name, own in _KEYS.items() if own <= keys), None)
