"""The reference's records made row by row in plain Python: what a user would write, and what the columns must equal."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from decimal import Decimal
from typing import Any

Json = dict[str, Any]

_LONGEST_PLAIN = 16  # digits before the point, from where on the reference writes an exponent
_SMALLEST_PLAIN = -5


def export(
    traces: list[Json], format_name: str, threshold: float, *, metadata: bool = True, eval_set_id: str | None = None
) -> bytes | None:
    """Return the records of some case results or scored traces, or None where there is nothing to export."""
    single = struct.unpack("f", struct.pack("f", threshold))[0]
    kept = [trace for trace in traces if score(trace) >= single]
    if format_name == "dpo":
        records = _pairs(kept, eval_set_id, metadata=metadata)
    else:
        make = chatml if format_name == "chatml" else sharegpt
        records = [make(trace, metadata=metadata) for trace in kept]
    return "".join(dumps(record) + "\n" for record in records).encode() if records else None


def score(trace: Json) -> float:
    if "metric_results" not in trace:
        return float(trace["score"])
    values = [metric["score"]["value"] for metric in trace["metric_results"]]
    total = 0.0
    for value in values:
        total += value
    return total / len(values) if values else 0.0


def chatml(trace: Json, *, metadata: bool) -> Json:
    invocation = trace["invocation"]
    messages = _messages(invocation, with_calls=True)
    record: Json = {"messages": messages}
    if metadata:
        record["metadata"] = {
            "case_id": trace["case_id"],
            "score": score(trace),
            "model_id": invocation["model"]["model_id"],
            "turns": len(invocation["turns"]),
        }
    return record


def sharegpt(trace: Json, *, metadata: bool) -> Json:
    speakers = {"system": "system", "user": "human", "assistant": "gpt"}
    messages = _messages(trace["invocation"], with_calls=False)
    record: Json = {"conversations": [{"from": speakers[m["role"]], "value": m["content"]} for m in messages]}
    if metadata:
        record["metadata"] = {"case_id": trace["case_id"], "score": score(trace)}
    return record


def _pairs(kept: list[Json], eval_set_id: str | None, *, metadata: bool) -> list[Json]:
    cases: dict[tuple[str | None, str], list[Json]] = {}
    for trace in kept:
        eval_set = trace.get("eval_set_id") if eval_set_id is None else eval_set_id
        cases.setdefault((eval_set, trace["case_id"]), []).append(trace)
    pairs = []
    for (_, case_id), runs in cases.items():
        if len(runs) > 1:
            best = max(runs, key=score)
            worst = min(reversed(runs), key=score)
            sides = [_sorted(chatml(side, metadata=metadata)) for side in (best, worst)]
            pairs.append({"case_id": case_id, "chosen": sides[0], "rejected": sides[1]})
    return pairs


def _messages(invocation: Json, *, with_calls: bool) -> list[Json]:
    messages: list[Json] = [{"role": "system", "content": ""}]
    for turn in invocation["turns"]:
        if turn["turn_index"] == 0:
            messages.append({"role": "user", "content": ""})
        blocks = turn["assistant_message"]["content"]
        message: Json = {
            "role": "assistant",
            "content": "".join(block["text"] for block in blocks if block["type"] == "text"),
        }
        if turn["tool_calls"] and with_calls:
            message["tool_calls"] = [_call(call) for call in turn["tool_calls"]]
        messages.append(message)
    final = invocation.get("final_response")
    if final is not None:
        if messages[-1]["role"] != "assistant":
            messages.append({"role": "assistant", "content": final})
        elif messages[-1]["content"] == "":
            messages[-1]["content"] = final
    return messages


def _call(call: Json) -> Json:
    function = {"name": call["name"], "arguments": dumps(_sorted(call["arguments"]))}
    return {"id": call["id"], "type": "function", "function": function}


def _sorted(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=str.encode)}
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        with suppress(OverflowError):  # beyond the largest double there is no other way to write it
            return float(value)  # as the reference reads integers beyond 64 bits
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def dumps(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Write compact JSON as the reference does: like `json.dumps`, but for floating-point numbers."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{dumps(key)}:{dumps(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dumps, value)) + "]"
    return _float(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _float(value: float) -> str:
    """Write the shortest digits that read back as the number, with an exponent from 1e16 on and below 1e-5."""
    sign = "-" if json.dumps(value).startswith("-") else ""
    if value == 0:
        return sign + "0.0"
    parts = Decimal(repr(abs(value))).normalize().as_tuple()
    digits, exponent = "".join(map(str, parts.digits)), int(parts.exponent)
    point = len(digits) + exponent
    if exponent >= 0 and point <= _LONGEST_PLAIN:
        return f"{sign}{digits}{'0' * exponent}.0"
    if 0 < point <= _LONGEST_PLAIN:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if _SMALLEST_PLAIN < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1}"
