"""Prompts stand where the user spoke: the k-th message of the user before the k-th turn whose `turn_index` is 0."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_export as pe
from tests.builders import case_result, scored_trace, turn, write_document, write_lines

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]


def write_set(path: Path, *messages: str, system: str = "") -> Path:
    case = {"id": "a", "system_prompt": system, "user_messages": list(messages)}
    path.write_text(json.dumps({"id": "set", "cases": [case]}), encoding="utf-8")
    return path


def spoken(source: Path, **options: Any) -> list[list[str]]:  # noqa: ANN401 - options
    """Return the messages of every record, the role's first letter and the text."""
    output = source.with_name("out.jsonl")
    pe.export(source, output, pe.ExportOptions("chatml", target="trl", **options))
    records = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    return [[f"{m['role'][0]}:{m['content']}" for m in record["messages"]] for record in records]


def expected(indices: list[int], messages: list[str], system: str) -> list[str]:
    """Return the messages of a conversation in plain Python."""
    opening = [place for place, index in enumerate(indices) if index == 0] or [0]
    found = [f"s:{system}"] if system else []
    for place in range(len(indices)):
        found += [f"u:{m}" for k, m in enumerate(messages) if opening[min(k, len(opening) - 1)] == place]
        found.append(f"a:{place}")
    return found


@given(
    indices=st.lists(st.integers(0, 2), min_size=1, max_size=5),
    messages=st.lists(st.sampled_from(["x", "y", "z", ""]), min_size=1, max_size=4),
    system=st.sampled_from(["", "be kind"]),
    where=st.sampled_from(["set", "line", "both"]),
)
def test_messages_stand_before_the_turns_with_index_0(
    indices: list[int], messages: list[str], system: str, where: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("places")
    turns = [turn(str(place), index=index) for place, index in enumerate(indices)]
    own: Json = {} if where == "set" else {"user_messages": messages, "system_prompt": system or None}
    given_set = messages if where == "set" else ["from the set"]
    sets = write_set(folder / "set.json", *given_set, system=system if where == "set" else "")
    source = write_lines(folder / "runs.jsonl", case_result("a", *turns, eval_set_id="set", **own))
    prompts = {} if where == "line" else {"prompts": str(sets)}
    assert spoken(source, **prompts) == [expected(indices, messages, system)]


def test_what_a_line_brings_wins_field_by_field(tmp_path: Path) -> None:
    sets = write_set(tmp_path / "set.json", "from the set", system="system of the set")
    source = write_lines(
        tmp_path / "runs.jsonl",
        scored_trace("a", turn("x"), user_messages=["mine"]),
        scored_trace("a", turn("x"), system_prompt="my system"),
        scored_trace("a", turn("x")),
    )
    assert spoken(source, prompts=str(sets)) == [
        ["s:system of the set", "u:mine", "a:x"],
        ["s:my system", "u:from the set", "a:x"],
        ["s:system of the set", "u:from the set", "a:x"],
    ]


def test_a_trace_without_turns_has_its_prompts_before_the_final_response(tmp_path: Path) -> None:
    trace = case_result("a", final="Done.")
    trace["invocation"]["turns"] = []
    source = write_document(tmp_path / "run.json", trace)
    sets = write_set(tmp_path / "set.yaml", "Hello?", system="be kind")
    assert spoken(source, prompts=str(sets)) == [["s:be kind", "u:Hello?", "a:Done."]]
    closing = pe.read(source, prompts=sets).traces["closing"][0].to_list()
    assert [message["role"] for message in closing] == ["system", "user"]


def test_messages_inside_a_conversation_belong_to_the_completion(tmp_path: Path) -> None:
    sets = write_set(tmp_path / "set.json", "one", "two")
    trace = case_result("a", turn("x"), turn("y", index=1), turn("z"))
    source = write_document(tmp_path / "run.json", trace)
    output = tmp_path / "out.jsonl"
    pe.export(source, output, pe.ExportOptions("prompt-completion", target="trl", prompts=str(sets)))
    record = json.loads(output.read_text(encoding="utf-8"))
    assert [message["content"] for message in record["prompt"]] == ["one"]
    assert [message["content"] for message in record["completion"]] == ["x", "y", "two", "z"]


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({"system_prompt": 3}, r"runs\.jsonl:1: \$\.system_prompt: expected a string, found the number 3"),
        ({"user_messages": "hi"}, r"runs\.jsonl:1: \$\.user_messages: expected an array, found the string \"hi\""),
        ({"user_messages": ["a", None]}, r"runs\.jsonl:1: \$\.user_messages\[1\]: expected a string, found null"),
    ],
)
def test_prompts_of_another_type_are_named(prompts: Json, message: str, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "runs.jsonl", case_result("a", **prompts))
    with pytest.raises(pe.BadRecordError, match=message):
        spoken(source)
    pe.export(source, tmp_path / "reference.jsonl")  # whose records hold no prompts


def test_negative_scores_qualify_where_there_is_no_threshold(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "runs.jsonl", scored_trace("a", score=-1.0, user_messages=["hi"]))
    assert len(spoken(source)) == 1
    with pytest.raises(pe.NothingToExportError):
        pe.export(source, tmp_path / "reference.jsonl")
