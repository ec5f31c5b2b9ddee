"""Judge a line as the promises say: is it a trace, does it qualify, may it be exported? In plain Python, by `json`.

An export reads the fields that it needs. What it does not need it steps over: that must be JSON, but neither of a
certain type, nor of numbers that a double can hold, nor even UTF-8. Only in a record with something unusual where it
reads (a block of an unknown type, a key that stands twice with values of different types) all is read and has to be
sound. That is the whole difference between `stands` and `sound` below.
"""

from __future__ import annotations

import json
import math
import re
import struct
from enum import StrEnum
from typing import Any, NamedTuple, NoReturn

from tests import rowwise

Json = dict[str, Any]

_LONGEST_INTEGER = 4300  # digits that Python reads
_ESCAPES = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_BLOCKS = ("text", "thinking", "tool_call", "image", "extension")


class Verdict(StrEnum):
    VALID = "valid"
    BELOW = "below"
    INVALID = "invalid"
    BLANK = "blank"


class Judged(NamedTuple):
    """A verdict, and the trace if there is one."""

    verdict: Verdict
    trace: Json | None = None


INVALID = Judged(Verdict.INVALID)


class Fields(list[tuple[str, Any]]):
    """A JSON object as it stands: with every one of its fields, also those of one name."""


class TooLong:
    """A number with more digits than are read."""


def judge(line: bytes, threshold: float, *, in_document: bool = False) -> Judged:  # noqa: PLR0911 - one per verdict
    """Judge a line (without its line feed), or an element of `case_results`, for an export to target reference."""
    if not line.strip(b" \t\r\n"):
        return Judged(Verdict.BLANK)
    text = line.decode("utf-8", "surrogateescape")  # a byte that is no UTF-8 becomes a surrogate from dc80 on
    try:
        value = json.loads(
            text, object_pairs_hook=Fields, parse_constant=_refuse, parse_int=_integer, parse_float=float
        )
    except (ValueError, RecursionError):
        return INVALID
    if _has_lone_surrogate(text) or not _is_trace(_outline, value):
        return INVALID
    trace: Json = last_of(value)
    if (score := _score(trace, in_document=in_document)) is None:
        return INVALID
    if score < struct.unpack("f", struct.pack("f", threshold))[0]:
        return Judged(Verdict.BELOW)
    if not _is_trace(_trace, value):
        return INVALID
    return Judged(Verdict.VALID, trace)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and the infinities are no JSON


def _integer(digits: str) -> int | TooLong:
    return int(digits) if len(digits.lstrip("-")) <= _LONGEST_INTEGER else TooLong()


def _has_lone_surrogate(text: str) -> bool:
    """Find an escape that is half a character; in valid JSON, backslashes stand in strings only."""
    high_ends = -1
    for match in _ESCAPES.finditer(text):
        code = int(match[1] or "0", 16)
        if 0xDC00 <= code < 0xE000 and match.start() == high_ends:
            high_ends = -1
            continue
        if high_ends >= 0 or 0xDC00 <= code < 0xE000:
            return True
        high_ends = match.end() if 0xD800 <= code < 0xDC00 else -1
    return high_ends >= 0


def last_of(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of which the last of several fields of one name counts."""
    if isinstance(value, Fields):
        return {key: last_of(item) for key, item in value}
    return [last_of(item) for item in value] if isinstance(value, list) else value


def _score(trace: Json, *, in_document: bool) -> float | None:
    if "metric_results" not in trace and (in_document or not _number(trace.get("score"))):
        return None
    return rowwise.score(trace)


# What the fields must be. `every` says of an object whether a check holds of every field of a name and the field is
# there if it must be; so the same checks judge an object as it stands and one of which the last fields count.


def _is_trace(check: Any, value: Any) -> bool:  # noqa: ANN401 - one of the checks below, any JSON value
    stands: bool = check(value, strict=False)
    return stands or (_sound(value) and check(_only_last(value), strict=True))


def _only_last(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, Fields):
        return Fields((key, _only_last(item)) for key, item in dict(value).items())
    return [_only_last(item) for item in value] if isinstance(value, list) else value


def _sound(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Return whether all of a value can be read: text that is UTF-8, numbers that are held."""
    if isinstance(value, Fields):
        return all(_sound(key) and _sound(item) for key, item in value)
    if isinstance(value, list):
        return all(map(_sound, value))
    if isinstance(value, str):
        return not any("\ud800" <= character < "\ue000" for character in value)
    return math.isfinite(value) if isinstance(value, float) else not isinstance(value, TooLong)


def _every(value: Any, name: str, check: Any, *, needed: bool = True) -> bool:  # noqa: ANN401 - as above
    found = [item for key, item in value if key == name]
    return all(map(check, found)) and (bool(found) or not needed)


def _array_of(check: Any) -> Any:  # noqa: ANN401 - as above
    return lambda value: isinstance(value, list) and not isinstance(value, Fields) and all(map(check, value))


def _object(value: object) -> bool:
    return isinstance(value, Fields)


def _string(value: object) -> bool:
    return isinstance(value, str) and _sound(value)


def _string_or_null(value: object) -> bool:
    return value is None or _string(value)


def _number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer larger than any double
        return False


def _index(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _outline(value: Any, *, strict: bool, turn: Any = _object, needs_model: bool = False) -> bool:  # noqa: ANN401
    del strict

    def invocation(it: Any) -> bool:  # noqa: ANN401 - any JSON value
        return (
            _object(it)
            and _every(it, "turns", _array_of(turn))
            and _every(it, "final_response", _string_or_null, needed=False)
            and (not needs_model or _every(it, "model", lambda m: _object(m) and _every(m, "model_id", _string)))
        )

    def metric(it: Any) -> bool:  # noqa: ANN401 - any JSON value
        return _object(it) and _every(it, "score", lambda score: _object(score) and _every(score, "value", _number))

    return (
        _object(value)
        and _every(value, "case_id", _string)
        and _every(value, "invocation", invocation)
        and _every(value, "metric_results", _array_of(metric), needed=False)
        and _every(value, "score", _sound, needed=False)
        and _every(value, "eval_set_id", _string_or_null, needed=False)
    )


def _trace(value: Any, *, strict: bool) -> bool:  # noqa: ANN401 - any JSON value
    def block(it: Any) -> bool:  # noqa: ANN401 - any JSON value
        return _block(it, strict=strict)

    def message(it: Any) -> bool:  # noqa: ANN401 - any JSON value
        return _object(it) and _every(it, "content", _array_of(block))

    def call(it: Any) -> bool:  # noqa: ANN401 - any JSON value
        return (
            _object(it)
            and _every(it, "id", _string)
            and _every(it, "name", _string)
            and _every(it, "arguments", _sound)
        )

    def turn(it: Any) -> bool:  # noqa: ANN401 - any JSON value
        return (
            _object(it)
            and _every(it, "turn_index", _index)
            and _every(it, "assistant_message", message)
            and _every(it, "tool_calls", _array_of(call))
            and _every(it, "tool_results", _array_of(_object), needed=False)
        )

    return _outline(value, strict=strict, turn=turn, needs_model=True)


def _block(value: Any, *, strict: bool) -> bool:  # noqa: ANN401 - any JSON value
    if not _object(value):
        return False
    types = [item for key, item in value if key == "type"]
    known = types and all(_string(it) and it == types[0] and it in (*_BLOCKS, "unknown") for it in types)
    if not known and not (strict and types and _string(types[-1])):
        return False
    return types[-1] != "text" or _every(value, "text", _string)
