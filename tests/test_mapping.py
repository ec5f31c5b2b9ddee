"""Mappings: what a user may say of the fields of a row, and what is wrong with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import polars_export as pe
from polars_export.mapping import Constant, Extra, RowMapping, VerdictValues, mapping_of, show_path

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """
each = "data.runs[*]"
messages = ["prompt", "completion"]
score = "reward"
verdict = { path = "resolved", pass = [1, "yes"], fail = [0] }
case = "task_id"
run = "trial"
model = "meta.model"
system = "policy"
tools = 'tools'
error = "exception"
eval_set = { const = "airline" }
[extra]
difficulty = { path = "meta.difficulty", type = "number" }
repo = "meta.\\"full.name\\""
"*" = true
[message]
role = "from"
content = "value"
[roles]
gpt = "assistant"
"""


def test_a_toml_file_says_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text(WHOLE, encoding="utf-8")
    expected = RowMapping(
        each=("data", "runs"),
        messages=(("prompt",), ("completion",)),
        fields=(
            ("case", ("task_id",)),
            ("eval_set", Constant("airline")),
            ("run", ("trial",)),
            ("model", ("meta", "model")),
            ("system", ("policy",)),
            ("tools", ("tools",)),
            ("error", ("exception",)),
            ("score", ("reward",)),
        ),
        verdict=("resolved",),
        verdict_values=VerdictValues((1, "yes"), (0,)),
        extra=(("difficulty", Extra(("meta", "difficulty"), "number")), ("repo", Extra(("meta", "full.name")))),
        all_extra=True,
        message=(("role", "from"), ("content", "value")),
        roles=(("gpt", "assistant"),),
    )
    for given in (path, str(path), [str(path)], expected):
        assert mapping_of("map", given) == expected


def test_texts_are_the_same_mapping_and_later_ones_win(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text('score = "a"\ncase = "id"\n[extra]\nx = "y"\n', encoding="utf-8")
    texts = [str(path), "score=b", "extra.z=deep.z", "roles.bot=assistant", "message.role=from", "messages=p,c"]
    assert mapping_of("map", texts) == RowMapping(
        messages=(("p",), ("c",)),
        fields=(("case", ("id",)), ("score", ("b",))),
        extra=(("x", Extra(("y",))), ("z", Extra(("deep", "z")))),
        message=(("role", "from"),),
        roles=(("bot", "assistant"),),
    )
    assert mapping_of("map", "each=[*]") == RowMapping(each=())
    assert mapping_of("map", "extra=*") == RowMapping(all_extra=True)
    assert mapping_of("map", json.loads) == RowMapping(python="json:loads")
    assert mapping_of("map", ()) is None


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("score", "expected KEY=PATH or a TOML file, found 'score'"),
        ("scores=reward", "found 'scores'; did you mean score?"),
        ("score=", "expected KEY=PATH"),
        ("score=a..b", "score: expected a path such as meta.difficulty, found 'a..b'"),
        ("score=a[0]", "score: expected a path such as meta.difficulty, found 'a[0]'"),
        ("each=simulations", "each: expected a path that ends in [*]"),
        ("roles.gpt=robot", "roles.gpt: expected one of system, user, assistant, tool, found 'robot'"),
        ("message.speaker=from", "message.speaker: expected one of role, content"),
        ("python=nothing", "python: expected module:function, found 'nothing'"),
        ("missing.toml", "missing.toml: No such file or directory"),
        (
            {"extra": {"x": {"path": "x", "type": "date"}}},
            "extra.x: expected the type text, number, boolean, found 'date'",
        ),
        ({"verdict": {"path": "x", "passed": [1]}}, "verdict: expected path, pass and fail, found 'passed'"),
        ({"score": 3}, "score: expected a path such as meta.difficulty, found 3"),
        ({"extra": 3}, "extra: expected names and paths, found 3"),
        ({"roles": "gpt"}, "roles: expected names, found 'gpt'"),
        (lambda row: row, "expected a function that other processes can import"),
    ],
)
def test_what_is_wrong_is_said_of_the_option(given: object, problem: str) -> None:
    with pytest.raises(pe.OptionError) as error:
        pe.ExportOptions(target="trl", map=given)  # type: ignore[arg-type]
    assert str(error.value).startswith("--map: ")
    assert problem in str(error.value)


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text("score = reward", encoding="utf-8")
    with pytest.raises(pe.OptionError, match=r"map\.toml: expected TOML \("):
        pe.InputOptions(map=path)


def test_paths_are_shown_as_they_are_typed() -> None:
    for text in ("a", "a.b", 'a."b.c".d'):
        mapping = mapping_of("map", f"score={text}")
        assert mapping
        path = mapping.of("score")
        assert isinstance(path, tuple)
        assert show_path(path) == text
