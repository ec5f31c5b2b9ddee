"""Tool definitions are read for every case or by eval set, and refused with the place of what is wrong."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from polars_export.errors import BadRecordError, SourceError
from polars_export.prompts.tools import Tools, read_tools

SAMPLE = Path(__file__).parents[1] / "data/tools/airline.json"


def schema(name: str = "look", **function: object) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **function}}


def write(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")
    return path


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def test_the_real_sample_is_for_every_case() -> None:
    tools = read_tools(SAMPLE)
    expected = [compact(value) for value in json.loads(SAMPLE.read_text(encoding="utf-8"))]
    assert tools.of("airline") == tools.of("other") == tools.of(None) == expected
    assert len(expected) == 15


def test_an_object_names_the_tools_of_eval_sets(tmp_path: Path) -> None:
    airline = json.loads(SAMPLE.read_text(encoding="utf-8"))
    tools = read_tools(str(write(tmp_path / "tools", {"airline": airline, "none": [], "own": [schema("own")]})))
    assert tools.of("airline") == read_tools(SAMPLE).of(None)
    assert tools.of("own") == ['{"type":"function","function":{"name":"own"}}']
    assert tools.of("none") == tools.of("unnamed") == tools.of(None) == []


def test_texts_are_compact_and_keep_the_order_numbers_and_fields_of_the_file(tmp_path: Path) -> None:
    function = {"strict": True, "parameters": {"z": 1.0, "a": [2**70, "é\n"]}, "description": "", "name": "look"}
    value = {"function": function, "type": "function", "more": None}
    expected = (
        '{"function":{"strict":true,"parameters":{"z":1.0,"a":[1180591620717411303424,"é\\n"]},'
        '"description":"","name":"look"},"type":"function","more":null}'
    )
    assert read_tools(write(tmp_path / "tools.json", [value])).of(None) == [expected]


@pytest.mark.parametrize("value", [[], {}])
def test_no_tools_are_no_error(value: object, tmp_path: Path) -> None:
    assert read_tools(write(tmp_path / "tools.json", value)).of("set") == []


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tools.json.gz"
    path.write_bytes(gzip.compress(SAMPLE.read_bytes()))
    assert read_tools(path) == read_tools(SAMPLE)


def test_tools_are_frozen_and_cross_from_process_to_process() -> None:
    tools = Tools({"set": ["{}"]})
    assert pickle.loads(pickle.dumps(tools)) == tools  # noqa: S301 - what was written a moment ago
    with pytest.raises(AttributeError):
        tools.schemas = []  # type: ignore[misc]


ARRAY = "an array of function schemas"
WRONG: dict[str, tuple[object, str, str, str]] = {
    "a string": ("look", "$", f"{ARRAY}, or an object from eval-set id to such an array", 'the string "look"'),
    "null": (None, "$", f"{ARRAY}, or an object from eval-set id to such an array", "null"),
    "one schema": (schema(), "$.type", ARRAY, 'the string "function"'),
    "an eval set of null": ({"a": [], "b": None}, "$.b", ARRAY, "null"),
    "a name": ([schema(), "look"], "$[1]", "an object", 'the string "look"'),
    "no type": ([{"function": {"name": "look"}}], "$[0].type", "one of function", "no such field"),
    "another type": ([schema() | {"type": "tool"}], "$[0].type", "one of function", 'the string "tool"'),
    "bare function": ([{"name": "look"}], "$[0].type", "one of function", "no such field"),
    "no function": ([{"type": "function"}], "$[0].function", "an object", "no such field"),
    "function a name": ([schema() | {"function": "look"}], "$[0].function", "an object", 'the string "look"'),
    "no name": (
        {"airline": [schema(), schema(), {"type": "function", "function": {}}]},
        "$.airline[2].function.name",
        "a string",
        "no such field",
    ),
    "name a number": ({"airline": [schema(name=1)]}, "$.airline[0].function.name", "a string", "the number 1"),  # type: ignore[arg-type]
    "description null": ([schema(description=None)], "$[0].function.description", "a string", "null"),
    "parameters an array": ([schema(parameters=[])], "$[0].function.parameters", "an object", "an array"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_shape_is_refused_with_its_place(wrong: str, tmp_path: Path) -> None:
    value, json_path, expected, found = WRONG[wrong]
    path = write(tmp_path / "tools.json", value)
    with pytest.raises(BadRecordError) as caught:
        read_tools(path)
    error = caught.value
    assert (error.file, error.line) == (str(path), None)
    assert (error.json_path, error.expected, error.found) == (json_path, expected, found)


@pytest.mark.parametrize("content", [b"[", b"- type: function", b"[] []", b'["\xff"]', b"[" * 100_000])
def test_what_is_not_json_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tools.json"
    path.write_bytes(content)
    with pytest.raises(BadRecordError, match=r"tools\.json: \$: expected valid JSON, found text that is not \("):
        read_tools(path)


@pytest.mark.parametrize("content", [b"", b" \n"])
def test_an_empty_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tools.json"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"tools\.json: the file is empty"):
        read_tools(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere\.json: No such file or directory"):
        read_tools(tmp_path / "nowhere.json")
    with pytest.raises(SourceError, match="Is a directory"):
        read_tools(tmp_path)
    with pytest.raises(SourceError, match="tool definitions are not read from standard input; give a file"):
        read_tools("-")
