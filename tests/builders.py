"""Build case results as the upstream writes them, saying only what a test is about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Json = dict[str, Any]

NO_USAGE = {"input": 0, "output": 0, "cache_read": 0, "cache_write": 0, "total": 0}
NO_COST = dict.fromkeys(NO_USAGE, 0.0)


def text(value: str) -> Json:
    return {"type": "text", "text": value}


def call(name: str = "look", arguments: object = None, call_id: str = "call-1") -> Json:
    return {"id": call_id, "name": name, "arguments": {} if arguments is None else arguments}


def result(value: str = "seen", call_id: str = "call-1", *, is_error: bool = False) -> Json:
    return {"tool_call_id": call_id, "content": [text(value)], "is_error": is_error, "timestamp": 7, "details": None}


def turn(
    *content: Json | str, index: int = 0, calls: Sequence[Json] = (), results: Sequence[Json] = (), **message: object
) -> Json:
    blocks = [text(block) if isinstance(block, str) else block for block in content]
    return {
        "turn_index": index,
        "assistant_message": {
            "content": blocks,
            "provider": "openai",
            "model_id": "turn-model",
            "usage": NO_USAGE,
            "cost": NO_COST,
            "stop_reason": "stop",
            "error_message": None,
            "timestamp": 1_715_770_000,
            **message,
        },
        "tool_calls": list(calls),
        "tool_results": list(results),
        "duration": {"secs": 1, "nanos": 500_000_000},
    }


def invocation(turns: Sequence[Json] = (), *, final: str | None = None, **fields: object) -> Json:
    return {
        "turns": list(turns),
        "total_usage": NO_USAGE,
        "total_cost": NO_COST,
        "total_duration": {"secs": 2, "nanos": 0},
        "final_response": final,
        "stop_reason": "stop",
        "model": {"provider": "openai", "model_id": "model", "thinking_level": "off", "thinking_budgets": None},
        **fields,
    }


def metric(value: float, name: str = "reward") -> Json:
    return {"evaluator_name": name, "score": {"value": value, "threshold": 0.5}, "details": None}


def case_result(
    case_id: str = "case", *turns: Json, scores: Iterable[float] = (1.0,), final: str | None = None, **fields: object
) -> Json:
    return {
        "case_id": case_id,
        "invocation": invocation(turns or [turn("Hello.")], final=final),
        "metric_results": [metric(value) for value in scores],
        "verdict": "pass",
        **fields,
    }


def scored_trace(case_id: str = "case", *turns: Json, score: float = 1.0, **fields: object) -> Json:
    return {"case_id": case_id, "invocation": invocation(turns or [turn("Hello.")]), "score": score, **fields}


def document(*case_results: Json, eval_set_id: str = "set") -> Json:
    return {
        "eval_set_id": eval_set_id,
        "case_results": list(case_results),
        "summary": {"total_cases": 0},
        "timestamp": 1,
    }


def exported_record() -> Json:
    """Return a record of an export: it has messages, and is no trace."""
    return {"messages": [], "metadata": {"case_id": "case", "score": 1.0}}


def write_document(path: Path, *case_results: Json, eval_set_id: str = "set") -> Path:
    path.write_text(json.dumps(document(*case_results, eval_set_id=eval_set_id), indent=2), encoding="utf-8")
    return path


def write_lines(path: Path, *records: Json) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path
