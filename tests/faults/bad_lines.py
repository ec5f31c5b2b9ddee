"""Lines that are no traces, each with the place and the complaint that users get to read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.builders import call, case_result, result, scored_trace, turn

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]

NOT_JSON = "a JSON value on one line"
DEEP = 100_000


class BadLine(NamedTuple):
    """A line; where it goes wrong; how the descriptions of what was expected and of what was found begin."""

    line: bytes
    json_path: str
    expected: str
    found: str = ""


def _run(**fields: Any) -> Json:  # noqa: ANN401 - fields of any type
    said = turn("Hello.", calls=[call()], results=[result()])
    return case_result("case", said, scores=[1.0], **fields)


def _with(change: Callable[[Json], object]) -> bytes:
    """Write a good trace, but for one change."""
    trace = _run()
    change(trace)
    return json.dumps(trace).encode()


def _first_turn(change: Callable[[Json], object]) -> bytes:
    return _with(lambda trace: change(trace["invocation"]["turns"][0]))


def _turn_index(value: object) -> bytes:
    return _first_turn(lambda it: it.update(turn_index=value))


def _first_score(value: object) -> bytes:
    return _with(lambda trace: trace["metric_results"][0]["score"].update(value=value))


def _text(value: bytes) -> bytes:
    """Write a good trace that says something else; the bytes stand in a string as they are."""
    return json.dumps(_run()).encode().replace(b"Hello.", value)


def _value(text: bytes) -> bytes:
    """Write a good trace with some text in place of its score."""
    return _first_score(12345).replace(b"12345", text)


def _arguments(text: bytes) -> bytes:
    """Write a good trace with some text in place of the arguments of its call."""
    return _first_turn(lambda it: it["tool_calls"][0].update(arguments=12345)).replace(b"12345", text)


def _note(text: bytes) -> bytes:
    """Write a good trace with some text as a field that nobody reads."""
    return json.dumps(_run(note=12345)).encode().replace(b"12345", text)


_GOOD = json.dumps(_run()).encode()
_TURN = "$.invocation.turns[0]"
_BLOCK = f"{_TURN}.assistant_message.content[0]"
_VALUE = "$.metric_results[0].score.value"
_INDEX = "an integer from 0 to 2^63 - 1"
_ABSENT = "no such field"

BAD_LINES = {
    # what is no JSON
    "truncated": BadLine(_GOOD[:-40], "$", NOT_JSON),
    "beheaded": BadLine(_GOOD[40:], "$", NOT_JSON),
    "words": BadLine(b"Traceback (most recent call last):", "$", NOT_JSON),
    "two values": BadLine(_GOOD + _GOOD, "$", NOT_JSON),
    "a comma behind": BadLine(_GOOD + b",", "$", NOT_JSON),
    "a comma too many": BadLine(_GOOD[:-1] + b",}", "$", NOT_JSON),
    "a comment": BadLine(_GOOD + b" // the best one", "$", NOT_JSON),
    "single quotes": BadLine(_GOOD.replace(b'"', b"'"), "$", NOT_JSON),
    "a line feed in a string": BadLine(_GOOD.partition(b"Hel")[0] + b"Hel", "$", NOT_JSON),
    "a tab in a string": BadLine(_text(b"a\tb"), "$", NOT_JSON),
    "an unknown escape": BadLine(_text(rb"a\x41"), "$", NOT_JSON),
    "half an escape": BadLine(_text(rb"a\u00"), "$", NOT_JSON),
    "a leading zero": BadLine(_value(b"01"), "$", NOT_JSON),
    "NaN": BadLine(_value(b"NaN"), "$", NOT_JSON),
    "Infinity": BadLine(_value(b"Infinity"), "$", NOT_JSON),
    "-Infinity": BadLine(_value(b"-Infinity"), "$", NOT_JSON),
    "NaN in arguments": BadLine(_arguments(b'{"x": NaN}'), "$", NOT_JSON),
    "NaN where nobody reads": BadLine(_note(b"NaN"), "$", NOT_JSON),
    # bytes that are no text
    "invalid UTF-8": BadLine(_text(b"caf\xe9"), "$", NOT_JSON),
    "UTF-8 cut short": BadLine(_text(b"\xf0\x9f\x98"), "$", NOT_JSON),
    "overlong UTF-8": BadLine(_text(b"\xc0\x80"), "$", NOT_JSON),
    "a surrogate as UTF-8": BadLine(_text(b"\xed\xa0\x80"), "$", NOT_JSON),
    "invalid UTF-8 in an id": BadLine(_GOOD.replace(b'"case"', b'"case\xff"'), "$", NOT_JSON),
    "invalid UTF-8 in a name": BadLine(_GOOD.replace(b'"case_id"', b'"case_id\xff"'), "$", NOT_JSON),
    "UTF-16": BadLine(_GOOD.decode().encode("utf-16-be"), "$", NOT_JSON),
    "a high surrogate alone": BadLine(_text(rb"\ud83d"), "$", NOT_JSON),
    "a low surrogate alone": BadLine(_text(rb"\ude00"), "$", NOT_JSON),
    "surrogates in the wrong order": BadLine(_text(rb"\ude00\ud83d"), "$", NOT_JSON),
    "half a pair": BadLine(_text(rb"\ud83d\u0041"), "$", NOT_JSON),
    "a surrogate alone in arguments": BadLine(_arguments(rb'{"\ud83d": 1}'), "$", NOT_JSON),
    "NUL bytes": BadLine(b"\0" * 50, "$", NOT_JSON),
    "a NUL byte before": BadLine(b"\0" + _GOOD, "$", NOT_JSON),
    "a NUL byte behind": BadLine(_GOOD + b"\0", "$", NOT_JSON),
    "a NUL byte in a string": BadLine(_text(b"a\0b"), "$", NOT_JSON),
    "a byte-order mark": BadLine(b"\xef\xbb\xbf" + _GOOD, "$", NOT_JSON),
    # numbers and depth that nothing holds
    "a score larger than any double": BadLine(_value(b"1e999"), "$", ""),
    "a score of 400 digits": BadLine(_value(b"1" * 400), "$", ""),
    "an argument larger than any double": BadLine(_arguments(b"1e999"), "$", ""),
    "an argument of 5000 digits": BadLine(_arguments(b"1" * 5_000), "$", ""),
    "a turn beyond 64 bits": BadLine(_turn_index(2**63), f"{_TURN}.turn_index", _INDEX),
    "arrays in arrays": BadLine(_arguments(b"[" * DEEP + b"]" * DEEP), "$", NOT_JSON),
    "objects in objects": BadLine(_arguments(b'{"a":' * DEEP + b"1" + b"}" * DEEP), "$", NOT_JSON),
    "nesting where nobody reads": BadLine(_note(b"[" * DEEP + b"]" * DEEP), "$", NOT_JSON),
    "nesting that does not end": BadLine(b"[" * DEEP, "$", NOT_JSON),
    # fields that are missing
    "no case": BadLine(_with(lambda it: it.pop("case_id")), "$.case_id", "a string", _ABSENT),
    "no scores": BadLine(_with(lambda it: it.pop("metric_results")), "$.metric_results", "an array", _ABSENT),
    "no invocation": BadLine(_with(lambda it: it.pop("invocation")), "$.invocation", "an object", _ABSENT),
    "no turns": BadLine(
        _with(lambda it: it["invocation"].pop("turns")), "$.invocation.turns", "an array", _ABSENT
    ),
    "no model": BadLine(_with(lambda it: it["invocation"].pop("model")), "$.invocation.model", "an object", _ABSENT),
    "no message": BadLine(
        _first_turn(lambda it: it.pop("assistant_message")), f"{_TURN}.assistant_message", "an object", _ABSENT
    ),
    "no calls": BadLine(_first_turn(lambda it: it.pop("tool_calls")), f"{_TURN}.tool_calls", "an array", _ABSENT),
    "no name of a call": BadLine(
        _first_turn(lambda it: it["tool_calls"][0].pop("name")), f"{_TURN}.tool_calls[0].name", "a string", _ABSENT
    ),
    "no arguments": BadLine(
        _first_turn(lambda it: it["tool_calls"][0].pop("arguments")), f"{_TURN}.tool_calls[0].arguments", "", _ABSENT
    ),
    "no type of a block": BadLine(
        _first_turn(lambda it: it["assistant_message"]["content"][0].pop("type")), f"{_BLOCK}.type", "one of", _ABSENT
    ),
    "no text in a block": BadLine(
        _first_turn(lambda it: it["assistant_message"]["content"][0].pop("text")), f"{_BLOCK}.text", "a string", _ABSENT
    ),
    # fields of a wrong type
    "a number": BadLine(b"3", "$", "an object", "the number 3"),
    "a string": BadLine(b'"case_id"', "$", "an object", 'the string "case_id"'),
    "an array": BadLine(b"[1]", "$", "an object", "an array"),
    "null": BadLine(b"null", "$", "an object", "null"),
    "a number as case": BadLine(_with(lambda it: it.update(case_id=7)), "$.case_id", "a string", "the number 7"),
    "a list as invocation": BadLine(
        _with(lambda it: it.update(invocation=[])), "$.invocation", "an object", "an array"
    ),
    "null as turns": BadLine(
        _with(lambda it: it["invocation"].update(turns=None)), "$.invocation.turns", "an array", "null"
    ),
    "a string as turn": BadLine(
        _with(lambda it: it["invocation"].update(turns=["x"])), _TURN, "an object", 'the string "x"'
    ),
    "a turn before the first": BadLine(
        _turn_index(-1), f"{_TURN}.turn_index", _INDEX, "the number -1"
    ),
    "half a turn": BadLine(
        _turn_index(0.5), f"{_TURN}.turn_index", _INDEX, "the number 0.5"
    ),
    "true as turn": BadLine(_turn_index(True), f"{_TURN}.turn_index", _INDEX, "true"),
    "a string as score": BadLine(_first_score("high"), _VALUE, "a number", 'the string "high"'),
    "true as score": BadLine(_first_score(value=True), _VALUE, "a number", "true"),
    "a number as final response": BadLine(
        _with(lambda it: it["invocation"].update(final_response=3)),
        "$.invocation.final_response", "a string or null", "the number 3",
    ),
    "an object as text": BadLine(
        _first_turn(lambda it: it["assistant_message"]["content"][0].update(text={})),
        f"{_BLOCK}.text", "a string", "an object",
    ),
    "a number as type of a block": BadLine(
        _first_turn(lambda it: it["assistant_message"]["content"][0].update(type=1)),
        f"{_BLOCK}.type", "one of", "the number 1",
    ),
    "a string as result": BadLine(
        _first_turn(lambda it: it.update(tool_results=["x"])), f"{_TURN}.tool_results[0]", "an object", 'the string "x"'
    ),
    "a number as eval set": BadLine(
        _with(lambda it: it.update(eval_set_id=3)), "$.eval_set_id", "a string or null", "the number 3"
    ),
    "a string as score of a scored trace": BadLine(
        json.dumps(scored_trace("case") | {"score": "high"}).encode(), "$.score", "a number", 'the string "high"'
    ),
    "the last of two fields": BadLine(
        _GOOD[:-1] + b', "case_id": 7}', "$.case_id", "a string", "the number 7"
    ),
}  # fmt: skip


FINE_LINES = {
    "a carriage return behind": _GOOD + b"\r",
    "space around": b" \t" + _GOOD + b" \r",
    "an escaped NUL": _text(rb"a\u0000b"),
    "a pair of surrogates": _text(rb"\ud83d\ude00"),
    "a line separator": _text("a\u2028b".encode()),
    "an escaped name": _GOOD.replace(b'"case_id"', rb'"c\u0061se_id"'),
    "a field twice": b'{"case_id": "other", ' + _GOOD[1:],
    "a field twice, the first of a wrong type": b'{"case_id": 7, "invocation": null, ' + _GOOD[1:],
    "a text twice": _GOOD.replace(b'"text": "Hello."', b'"text": "No.", "text": "Hello."'),
    "a type twice": _GOOD.replace(b'"type": "text"', b'"type": "image", "type": "text"'),
    "an argument twice": _arguments(b'{"a": 1, "a": {"b": 1, "b": 2}}'),
    "numbers at the limits": _arguments(b"[9223372036854775807, 18446744073709551615, 1e308, -1E-300, -0, 1e-999]"),
    "a number beyond 64 bits": _arguments(b"18446744073709551616"),
    "nesting of 100": _arguments(b"[" * 100 + b"]" * 100),
    "a wrong type where nobody reads": _with(lambda it: it["invocation"].update(total_usage="none")),
    "a block of an unknown type": _GOOD.replace(b'"content": [', b'"content": [{"type": "video", "text": 3}, '),
    "unknown fields": _note(b'{"type": 1, "NaN": "NaN"}'),
}
"""Lines that look odd and are traces all the same; of a field that stands twice, the last counts."""
