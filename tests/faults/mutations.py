"""Seeded damage to the lines of traces: to their bytes, and to the values that they hold."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.builders import call, case_result, result, scored_trace, turn

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

Json = dict[str, Any]

_RESULTS = Path(__file__).parents[2] / "data/results"
_DEEP = (100, 5_000)  # what every reader takes, and what none does
_LONGEST_REAL = 6_000

_NUMBERS = (
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1e300", b"-0", b"-0.0", b"0e99", b"1E5", b"01", b"1.",
    b".5", b"1" * 30, b"1" * 400, b"-" + b"9" * 5_000, b"18446744073709551616", b"9223372036854775808",
    b"9223372036854775807",
)  # fmt: skip
_STRINGS = (
    b'"\\ud800"', b'"\\udc00"', b'"\\ud83d\\ude00"', b'"\\ud800\\u0041"', b'"\\u0000"', b'"\\x"', b'"\\u12"',
    b'"\x00"', b'"\t"', b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xe2\x82"', b'"\xf4\x90\x80\x80"', b'"', b'""',
)  # fmt: skip
_TOKENS = (
    *_NUMBERS, *_STRINGS, *(string.strip(b'"') for string in _STRINGS), b"true", b"null", b"nul", b"True", b"\\",
    b"{}", b"[]", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\r", b"\x1f", b"\x0c", b"\x7f", b"\xef\xbb\xbf",
    b"\xe2\x80\xa8", b"\xf0\x9f\x98\x80", b"/**/", b"//", b"'", b"\\u0061", b'"type": ', b'"type": "text", ',
    b'"type": "image", ', b'"text": 1, ', b'"score": 2, ', b'"eval_set_id": "two", ', b'"note": 1e999, ',
)  # fmt: skip


class Raw:
    """Text to stand where a value should."""

    def __init__(self, text: bytes) -> None:
        self.text = text


class Fields(list[tuple[str, Any]]):
    """An object whose fields may have the same name."""


@cache
def originals() -> tuple[Json, ...]:
    """Return traces to be damaged: real ones, cut to a few turns, and made ones with the odd corners in them."""
    return (*_real(), *_made())


def _real() -> list[Json]:
    traces: list[Json] = []
    for path in sorted(_RESULTS.rglob("*.json")):
        document = json.loads(path.read_bytes())
        for number, trace in enumerate(document["case_results"][:12]):
            del trace["invocation"]["turns"][1 + number % 3 :]
            if len(json.dumps(trace)) <= _LONGEST_REAL:
                traces.append({**trace, "eval_set_id": document["eval_set_id"]})
    assert len(traces) > 20
    return traces


def _made() -> list[Json]:
    thought: Json = {"type": "thinking", "thinking": "Hm.", "signature": None}
    image: Json = {"type": "image", "source": {"data": "é"}}
    extension: Json = {"type": "extension", "type_name": "x", "data": [1]}
    unknown: Json = {"type": "video", "text": 3}
    arguments = {"b": [1, 2.5, {"z": None, "é": "😀\n\u2028"}], "a": {"y": True, "x": 2**70}, "": -0.0}
    traces = []
    for number in range(60):
        calls, results = [call(arguments=arguments)], [result()]
        turns = [
            turn("Hello. ", '\x00\x7f"\\', thought, index=number % 2, calls=calls, results=results),
            turn(*[image, extension] * (number % 3), index=1),
            turn("One", *[unknown] * (number % 5 == 0), call_block(), "two", index=2),
        ]
        fields = {"eval_set_id": "one" if number % 4 else None}
        made = scored_trace if number % 6 == 0 else case_result
        scores = {"score": number / 60} if number % 6 == 0 else {"scores": [number / 60, 0.5][: 1 + number % 2]}
        trace = made("case", *turns[: 1 + number % 3], **fields, **scores)  # type: ignore[arg-type]
        trace["invocation"]["final_response"] = [None, "", "Bye."][number % 3]
        traces.append(trace)
    return traces


def call_block() -> Json:
    return {"type": "tool_call", "id": "1", "name": "look", "arguments": {}, "partial_json": None}


def mutated(random: Random) -> bytes:
    """Return a line, a third of them as they were; it may hold line feeds, and then it is several."""
    kind = random.random()
    if kind < 0.7:
        line = _line(random)
        for _ in range(0 if kind < 0.35 else 1 if kind < 0.6 else random.randint(2, 6)):
            line = random.choice(_OF_BYTES)(random, line)
        return line
    value = _fields(random.choice(originals()))
    value[0] = ("case_id", _case(random))
    for _ in range(1 if kind < 0.92 else random.randint(2, 4)):
        _change(random, value)
    return write(value)


def damaged(random: Random, original: Json) -> bytes:
    """Return a JSON text with some damage to its values or its bytes; some are as they were."""
    value = _fields(original)
    for _ in range(random.choice([0, 1, 1, 1, 2])):
        _change(random, value)
    text = write(value)
    for _ in range(random.choice([0, 0, 0, 1])):
        text = random.choice(_OF_BYTES)(random, text)
    return text


def _line(random: Random) -> bytes:
    return b'{"case_id": "%s", ' % _case(random).encode() + random.choice(_rests())


def _case(random: Random) -> str:
    return f"case {random.randrange(150)}"


@cache
def _rests() -> tuple[bytes, ...]:
    """Return the lines without their first field."""
    return tuple(write({key: item for key, item in trace.items() if key != "case_id"})[1:] for trace in originals())


def write(value: Any) -> bytes:  # noqa: ANN401 - any JSON value, with what stands in for one
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, (dict, Fields)):
        fields = value.items() if isinstance(value, dict) else value
        return b"{" + b", ".join(write(key) + b": " + write(item) for key, item in fields) + b"}"
    if isinstance(value, list):
        return b"[" + b", ".join(map(write, value)) + b"]"
    return json.dumps(value, ensure_ascii=False).encode()


# Bytes


def _flip(random: Random, line: bytes) -> bytes:
    at = random.randrange(len(line) or 1)
    return line[:at] + bytes(byte ^ (1 << random.randrange(8)) for byte in line[at : at + 1]) + line[at + 1 :]


def _truncate(random: Random, line: bytes) -> bytes:
    return line[: random.randint(0, len(line))]


def _behead(random: Random, line: bytes) -> bytes:
    return line[random.randint(0, len(line)) :]


def _splice(random: Random, line: bytes) -> bytes:
    other = _line(random)
    return line[: random.randint(0, len(line))] + other[random.randint(0, len(other)) :]


def _splice_alike(random: Random, line: bytes) -> bytes:
    """Go over to another trace behind a key that both have, which often makes valid JSON."""
    other = _line(random)
    key = random.choice(
        [b'"invocation": ', b'"tool_calls": ', b'"content": ', b'"metric_results": ', b'"turn_index": ']
    )
    here, there = line.find(key), other.find(key)
    return line[:here] + other[there:] if min(here, there) >= 0 else line


def _cut(random: Random, line: bytes) -> bytes:
    start = random.randint(0, len(line))
    return line[:start] + line[start + random.randint(1, 40) :]


def _repeat(random: Random, line: bytes) -> bytes:
    start = random.randint(0, len(line))
    end = start + random.randint(1, 40)
    return line[:end] + line[start:]


def _insert(random: Random, line: bytes) -> bytes:
    at = random.randint(0, len(line))
    return line[:at] + random.choice(_TOKENS) + line[at:]


def _replace(random: Random, line: bytes) -> bytes:
    at = random.randint(0, len(line))
    return line[:at] + random.choice(_TOKENS) + line[at + random.randint(1, 8) :]


def _insert_in_text(random: Random, line: bytes) -> bytes:
    """Put something into a string, where more is allowed than elsewhere."""
    at = line.find(b'": "', random.randint(0, len(line)))
    return line if at < 0 else line[: at + 4] + random.choice(_TOKENS) + line[at + 4 :]


_OF_BYTES: list[Callable[[Random, bytes], bytes]] = [
    _flip, _flip, _truncate, _behead, _splice, _splice_alike, _splice_alike, _cut, _repeat,
    _insert, _insert, _replace, _insert_in_text, _insert_in_text,
]  # fmt: skip


# Values


def _fields(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return Fields((key, _fields(item)) for key, item in value.items())
    return [_fields(item) for item in value] if isinstance(value, list) else value


def _change(random: Random, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Change one field or item, somewhere: fields near the top, which decide more, are as likely as those below."""
    place = value
    while True:
        below = [item for item in _items(place) if isinstance(item, list) and item]
        if not below or random.random() < 0.25:
            break
        place = random.choice(below)
    if not place:
        return
    at = random.randrange(len(place))
    if isinstance(place, Fields):
        _change_field(random, place, at)
    else:
        _change_item(random, place, at)


def _items(place: Any) -> list[Any]:  # noqa: ANN401 - any JSON value
    return [item for _, item in place] if isinstance(place, Fields) else place if isinstance(place, list) else []


def _change_field(random: Random, place: Fields, at: int) -> None:
    key, item = place[at]
    kind = random.randrange(7)
    if kind == 0:
        del place[at]
    elif kind == 1:
        place[at] = (random.choice([key + "s", key.upper(), "", "type", "score", "é"]), item)
    elif kind == 2:
        place.insert(random.randint(0, len(place)), (key, _something(random, item)))
    elif kind == 3:
        place.insert(random.randint(0, len(place)), (key, item))
    elif kind == 4:
        place.append((random.choice(["note", "score", "eval_set_id", "text", "type"]), _something(random)))
    else:
        place[at] = (key, _something(random, item))


def _change_item(random: Random, place: list[Any], at: int) -> None:
    kind = random.randrange(4)
    if kind == 0:
        del place[at]
    elif kind == 1:
        place.insert(at, place[at])
    else:
        place[at] = _something(random, place[at])


def _something(random: Random, item: object = None) -> Any:  # noqa: ANN401 - any JSON value
    """Return some value, mostly of the kind of another."""
    kind = random.random()
    if kind < 0.08:
        depth = random.choice(_DEEP)
        opening, closing = random.choice([(b"[", b"]"), (b'{"a":', b"}")])
        return Raw(opening * depth + b"1" + closing * depth)
    if isinstance(item, str) and kind < 0.6:
        return random.choice(["", "text", "image", "unknown", "case 1", "a\nb", "\x7fé😀", *map(Raw, _STRINGS)])
    if isinstance(item, (int, float)) and kind < 0.6:
        return random.choice([0, 1, -1, 0.5, 1e16, -1e-7, 1.0, 2**63 - 1, 2**63, 2**64, -(2**70), *map(Raw, _NUMBERS)])
    if isinstance(item, list) and kind < 0.6:
        return type(item)(random.choice([item[:1], item[1:], [*item, *item], item[::-1], []]))
    if kind < 0.7:
        return Raw(random.choice(_TOKENS))
    return random.choice([None, True, False, 1, 0.5, "x", [], [1], [[]], [{}], {}, {"type": "text", "text": "t"}])
