"""A rollout of verifiers as a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from polars_export.inputs.side_files import json_beside
from polars_export.messages.json_text import decode_arguments, from_text, to_text
from polars_export.messages.normalise import normalise_answer
from polars_export.messages.records import Trace
from polars_export.messages.scores import ODD_SCORES, finite_score, metrics_of
from polars_export.messages.tool_schemas import tool_schemas
from polars_export.messages.values import name_of, object_of, text_of

if TYPE_CHECKING:
    from polars_export.inputs.record_decoder import RecordPlace
    from polars_export.json_values import Json

__all__ = ["Rollout", "understand"]


class Rollout(Struct, gc=False):
    """What is needed of a rollout."""

    example_id: Any
    prompt: Any
    completion: Any
    reward: Any = None
    metrics: Any = None
    tool_defs: Any = None
    oai_tools: Any = None
    task: Any = None
    error: Any = None
    is_truncated: Any = None


def understand(record: Rollout, place: RecordPlace) -> Trace:
    """Return the trace of a rollout; the model and the environment stand in `metadata.json` beside it.

    Raises:
        InvalidRecordError: Something in it is not what it should be.
    """
    messages, dropped, context = normalise_answer(
        (_messages(record.prompt, "user"), f"{place.path}.prompt"),
        (_messages(record.completion, "assistant"), f"{place.path}.completion"),
    )
    decode_arguments(messages, place.path)
    metadata = object_of(json_beside(place.source, "metadata.json")) if place.source != "-" else {}
    trace = Trace(name_of(record.example_id) or place.name, messages, dropped=dropped)
    trace.context = context
    trace.eval_set_id = text_of(metadata.get("env_id")) or text_of(record.task)
    trace.score = finite_score(record.reward, f"{place.path}.reward")
    trace.metrics, odd = metrics_of(from_text(record.metrics))
    odd += trace.score is None and record.reward is not None
    trace.dropped_kinds = {ODD_SCORES: odd} if odd else {}
    trace.model_id = text_of(metadata.get("model"))
    tools = record.tool_defs if record.tool_defs is not None else record.oai_tools
    trace.tools = tool_schemas(tools, f"{place.path}.tool_defs")
    trace.stop_reason = "length" if record.is_truncated is True else None
    trace.error = _error_of(record.error, place.path) if record.error else None
    return trace


def _error_of(error: Json, path: str) -> str:
    """Return the words for an error, which may stand with its class and its chain of causes."""
    words = (text_of(object_of(error).get(key)) for key in ("error_chain_str", "message", "error"))
    return text_of(error) or next((text for text in words if text), None) or to_text(error, path)


def _messages(value: Json, role: str) -> Json:
    """Return a prompt or a completion as messages: it may be a text, JSON of messages or, after an error, null."""
    if value is None:
        return []
    decoded = from_text(value)
    return [{"role": role, "content": value}] if isinstance(value, str) and not isinstance(decoded, list) else decoded
