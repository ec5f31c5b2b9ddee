"""Eval sets are found, read as JSON or YAML, and refused with the place of what is wrong."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable  # noqa: TC003
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from polars_export.errors import BadRecordError, InputError, SourceError
from polars_export.prompts.eval_sets import PROMPTS, read_prompts
from polars_export.prompts.find import eval_sets_of, find_eval_set_files
from polars_export.sources.stream import ByteStream
from tests.builders import case_result, document, write_document, write_lines

if TYPE_CHECKING:
    import polars as pl

SAMPLE = Path(__file__).parents[1] / "data"
SPELLINGS: dict[str, Callable[[object], str]] = {
    "json": lambda value: json.dumps(value, indent=2),
    "yaml": lambda value: str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True)),
    "yaml in braces": lambda value: str(yaml.safe_dump(value, default_flow_style=True)),
}


def case(case_id: str = "case", *user_messages: str, **fields: object) -> dict[str, Any]:
    return {"id": case_id, "name": case_id, "system_prompt": "Be kind.", "user_messages": list(user_messages), **fields}


def eval_set(*cases: object, set_id: str = "set", **fields: object) -> dict[str, Any]:
    return {"id": set_id, "name": "A set", "cases": list(cases), **fields}


def write(path: Path, value: object, spelling: str = "json") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SPELLINGS[spelling](value), encoding="utf-8")
    return path


def write_set(path: Path) -> Path:
    """Write an eval set that is named like its file and has one case of that name."""
    return write(path, eval_set(case(path.stem), set_id=path.stem))


def read_text(directory: Path, content: str | bytes) -> pl.DataFrame:
    path = directory / "set.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_prompts(path)


def sets(sources: object) -> list[str]:
    return read_prompts(sources)["eval_set_id"].to_list()  # type: ignore[arg-type]


def test_a_row_is_a_case_of_the_real_sample() -> None:
    table = read_prompts(SAMPLE / "sets/airline.json")
    source = json.loads((SAMPLE / "sets/airline.json").read_text(encoding="utf-8"))
    assert table.schema == PROMPTS
    assert table.rows() == [
        ("airline", case["id"], case["system_prompt"], case["user_messages"]) for case in source["cases"]
    ]
    assert table.height == 50


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("name", ["set.json", "set.yaml", "no-ending"])
def test_json_and_yaml_are_told_by_content(spelling: str, name: str, tmp_path: Path) -> None:
    said = case("a", "Hello: {there}", "zwei\nZeilen: „ja“ 🙂\n", system_prompt="'Be' \"kind\": #1\n")
    path = write(tmp_path / name, eval_set(said, case("b")), spelling)
    assert read_prompts(path).rows() == [
        ("set", "a", said["system_prompt"], said["user_messages"]),
        ("set", "b", "Be kind.", []),
    ]


def test_the_real_sample_reads_the_same_as_yaml(tmp_path: Path) -> None:
    source = json.loads((SAMPLE / "sets/airline.json").read_text(encoding="utf-8"))
    path = write(tmp_path / "airline.yaml", source, "yaml")
    assert read_prompts(path).equals(read_prompts(SAMPLE / "sets"))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_prompts_may_be_missing_and_unknown_fields_are_ignored(spelling: str, tmp_path: Path) -> None:
    path = write(tmp_path / "set", eval_set({"id": "a", "tags": [{}], "7": None}, schema_version=2), spelling)
    assert read_prompts(path).rows() == [("set", "a", "", [])]


def test_yaml_aliases_share_a_prompt(tmp_path: Path) -> None:
    text = "id: set\ncases:\n- &a {id: a, system_prompt: &p Be kind., user_messages: [Hi]}\n"
    text += "- {id: b, system_prompt: *p}\n- {<<: *a, id: c}\n1: keys may be numbers\n"
    assert read_text(tmp_path, text).rows() == [
        ("set", "a", "Be kind.", ["Hi"]),
        ("set", "b", "Be kind.", []),
        ("set", "c", "Be kind.", ["Hi"]),
    ]


def test_compressed_sets_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + json.dumps(eval_set(case("a"))).encode()
    assert read_text(tmp_path, gzip.compress(content)).height == read_text(tmp_path, content).height == 1


@pytest.mark.parametrize("sources", [[], "an empty set"])
def test_without_cases_the_schema_is_the_same(sources: object, tmp_path: Path) -> None:
    given = [write(tmp_path / "set.json", eval_set())] if sources else []
    table = read_prompts(given)
    assert table.schema == PROMPTS
    assert table.is_empty()


def test_a_directory_is_searched_and_sorted_by_path(tmp_path: Path) -> None:
    for name in ("b.json", "a.yml", "deep/er/c.yaml"):
        write_set(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a source", encoding="utf-8")
    (tmp_path / "runs.jsonl").write_text("nor this", encoding="utf-8")
    assert sets(tmp_path) == ["a", "b", "c"]


def test_sources_keep_their_order_and_a_file_is_read_once(tmp_path: Path) -> None:
    a, b = write_set(tmp_path / "a.json"), write_set(tmp_path / "b.json")
    (tmp_path / "link.json").symlink_to(a)
    assert sets([b, str(tmp_path), a]) == ["b", "a"]


def test_of_an_eval_store_only_the_sets_are_read(tmp_path: Path) -> None:
    write_document(write_set(tmp_path / "results/set/1.json"), case_result())
    write_set(tmp_path / "sets/deep/in.json")
    write_set(tmp_path / "other/out.json")
    write_set(tmp_path / "out.json")
    assert sets(tmp_path) == ["in"]
    assert sets(SAMPLE) == ["airline"] * 50


def test_a_link_that_leads_back_is_not_followed_twice(tmp_path: Path) -> None:
    write_set(tmp_path / "sets/more/a.json")
    (tmp_path / "sets/more/back").symlink_to(tmp_path / "sets", target_is_directory=True)
    (tmp_path / "linked").symlink_to(tmp_path / "sets", target_is_directory=True)
    assert sets(tmp_path / "sets") == ["a"]
    assert sets(tmp_path / "linked") == ["a"]


def test_a_glob_is_sorted_and_may_match_directories(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.json", "x/c.json"):
        write_set(tmp_path / name)
    assert sets(f"{tmp_path}/[ab].*") == ["a", "b"]
    assert sets(f"{tmp_path}/*") == ["a", "b", "c"]
    assert sets(f"{tmp_path}/**") == ["a", "b", "c"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    assert sets(write(tmp_path / "set[1].json", eval_set(case("a")))) == ["set"]


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no set", encoding="utf-8")
    with pytest.raises(SourceError, match=r"nowhere\.json: no such file or directory"):
        read_prompts(tmp_path / "nowhere.json")
    with pytest.raises(SourceError, match="no file matches"):
        read_prompts(f"{tmp_path}/*.json")
    with pytest.raises(SourceError, match=r"the directory holds no eval sets \(\.json, \.yaml or \.yml\)"):
        read_prompts(tmp_path)
    with pytest.raises(SourceError, match="File name too long"):
        read_prompts(tmp_path / ("x" * 300))
    with pytest.raises(SourceError, match="eval sets are not read from standard input"):
        read_prompts("-")


def test_a_search_skips_hidden_files_and_second_ways_to_a_file(tmp_path: Path) -> None:
    (tmp_path / ".drafts").mkdir()
    for name in ("a.json", ".b.json", ".drafts/c.json"):
        write_set(tmp_path / name)
    os.link(tmp_path / "a.json", tmp_path / "hard.json")
    (tmp_path / "soft.json").symlink_to("a.json")
    assert find_eval_set_files(tmp_path) == [str(tmp_path / "a.json")]
    assert find_eval_set_files([tmp_path / "soft.json", tmp_path]) == [str(tmp_path / "soft.json")]


OTHER_KINDS: dict[str, tuple[str, str]] = {
    "results": (json.dumps(document(case_result())), "a results document"),
    "results, the cases first": ('{"case_results": [], "eval_set_id": "s"}', "a results document"),
    "results, cut": ('{"eval_set_id": "s", "case_results": [{', "a results document"),
    "results as YAML": ("eval_set_id: s\ncase_results: []", "a results document"),
    "traces": (json.dumps(case_result()) + "\n" + json.dumps(case_result()), "traces"),
    "report": ('{"schema_version": 1, "cases": []}', "a report artifact"),
    "records": ('{"messages": []}\n{"messages": []}', "the records of an export"),
    "tools": ('[{"type": "function"}]', "an array"),
    "another object": ('{"b": 1, "a": 2}', "an object with a, b"),
    "no keys": ("{}", "an object with no keys"),
    "text": ("hello", 'the string "hello"'),
    "only a comment": ("# hello", "null"),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_what_is_no_eval_set_is_refused(kind: str, tmp_path: Path) -> None:
    content, found = OTHER_KINDS[kind]
    with pytest.raises(SourceError) as caught:
        read_text(tmp_path, content)
    assert caught.value.source == str(tmp_path / "set.yaml")
    assert caught.value.problem == f"expected an eval set (an object with `id` and `cases`), found {found}"


def test_files_of_other_kinds_met_in_a_search_are_errors(tmp_path: Path) -> None:
    write_set(tmp_path / "a.json")
    write_document(tmp_path / "run.json", case_result())
    with pytest.raises(SourceError, match=r"run\.json: expected an eval set .* found a results document"):
        read_prompts(tmp_path)


def test_large_results_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polars_export.sources.window.CHUNK_BYTES", 1000)
    path = write_lines(tmp_path / "run.json", document(*[case_result()] * 100))
    read: list[int] = []
    readinto = ByteStream.readinto

    def counted(stream: ByteStream, buffer: memoryview) -> int:
        read.append(readinto(stream, buffer))
        return read[-1]

    monkeypatch.setattr(ByteStream, "readinto", counted)
    with pytest.raises(SourceError, match="a results document"):
        read_prompts(path)
    assert read == [1000]


@pytest.mark.parametrize("content", ["", " \n\t\n "])
def test_an_empty_file_is_refused(content: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"set\.yaml: the file is empty"):
        read_text(tmp_path, content)


WRONG: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "no id": ({"cases": []}, "$.id", "a string", "no such field"),
    "id a number": (eval_set(set_id=7), "$.id", "a string", "the number 7"),  # type: ignore[arg-type]
    "no cases": ({"id": "s"}, "$.cases", "an array", "no such field"),
    "cases an object": ({"id": "s", "cases": {}}, "$.cases", "an array", "an object"),
    "a case a string": (eval_set(case(), "b"), "$.cases[1]", "an object", 'the string "b"'),
    "a case without id": (eval_set({"name": "a"}), "$.cases[0].id", "a string", "no such field"),
    "system prompt null": (eval_set(case(system_prompt=None)), "$.cases[0].system_prompt", "a string", "null"),
    "one user message": (eval_set(case(user_messages="a")), "$.cases[0].user_messages", "an array", 'the string "a"'),
    "user message a number": (
        eval_set(case("a"), case("b"), case("c"), case("d", user_messages=[1])),
        "$.cases[3].user_messages[0]",
        "a string",
        "the number 1",
    ),
    "a case twice": (
        eval_set(case("a"), case("b"), case("a")),
        "$.cases[2].id",
        "an id of its own",
        'the string "a", which is also that of $.cases[0]',
    ),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_field_is_refused_with_its_place(wrong: str, spelling: str, tmp_path: Path) -> None:
    value, json_path, expected, found = WRONG[wrong]
    path = write(tmp_path / "set", value, spelling)
    with pytest.raises(BadRecordError) as caught:
        read_prompts(path)
    error = caught.value
    assert (error.file, error.line) == (str(path), None)
    assert (error.json_path, error.expected, error.found) == (json_path, expected, found)


def test_two_eval_sets_with_one_id_are_refused_naming_both_files(tmp_path: Path) -> None:
    first, second = (write(tmp_path / name, eval_set(), spelling) for name, spelling in (("a", "json"), ("b", "yaml")))
    with pytest.raises(SourceError) as caught:
        read_prompts([first, second])
    assert str(caught.value) == f"{second}: eval set 'set' is also in {first}; give one of the two"


def test_one_case_id_may_stand_in_two_eval_sets(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.json", eval_set(case("same"), set_id=name))
    assert read_prompts(tmp_path)["case_id"].to_list() == ["same", "same"]


UNREADABLE: dict[str, tuple[str | bytes, str]] = {
    "cut JSON": ('{"id": "s",\n"cases": [', "neither .JSON: Input data was truncated; YAML: .*while parsing a flow"),
    "text behind JSON": ('{"id": "s", "cases": []} x', "expected valid JSON or plain YAML"),
    "deep JSON": ("[\n" * 100_000, "neither .JSON: it is nested too deeply; YAML: more than 100 levels"),
    "deep YAML": (
        "id: s\ncases: " + "[\n" * 100_000,  # a deep line is refused by newer releases of libyaml itself
        r":10\d: \$: expected YAML that can be held, found more than 100 levels",
    ),
    "bad YAML": ("id: s\ncases: [}", r":2: \$: expected plain YAML, found .*while parsing a flow node, did not"),
    "two documents": ("id: s\n---\nid: t", "expected a single document"),
    "not UTF-8": (b"id: \xff\xfe", "unacceptable character|invalid leading UTF-8"),
    "unknown alias": ("id: s\ncases:\n- *bold", r":3: \$: expected plain YAML, found .*undefined alias"),
    "tag of Python": (
        "id: s\ncases: !!python/object/apply:os.system [touch made]",
        r":2: \$: expected plain YAML, .*python/object/apply:os\.system",
    ),
    "tag in JSON's braces": ("{id: !!python/name:os.system s}", r":1: \$: .*; YAML: .*python/name:os\.system"),
    "own tag": ("id: !mine s", "constructor for the tag '!mine'"),
    "no date": ("id: 2024-13-45", "a number, date or tagged value cannot be read: month must be in 1..12"),
    "no number": ("id: !!int ''", "a number, date or tagged value cannot be read"),
    "no truth": ("id: !!bool x", "a number, date or tagged value cannot be read"),
    "a date": ("id: 2024-05-15\ncases: []", r"\$\.id: expected a string, found a Python date"),
    "a truth": ("id: s\ncases: [{id: a, user_messages: [yes]}]", r"user_messages\[0\]: expected a string, found true"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_one_clear_error(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content, message = UNREADABLE[name]
    with pytest.raises(BadRecordError, match=message) as caught:
        read_text(tmp_path, content)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "made").exists()


def nested_aliases(pattern: str) -> str:
    lines = [f"l{level}: &l{level} " + pattern.replace("x", f"*l{level - 1}") for level in range(1, 12)]
    return "\n".join(["id: s", "cases: []", "l0: &l0 {a: lol}", *lines])


BOMBS = {
    "lists": nested_aliases("[x, x, x, x, x, x, x, x, x]"),
    "merged maps": nested_aliases("{<<: [x, x, x, x, x, x, x, x, x]}"),
    "in braces": "{" + nested_aliases("[x, x, x, x, x, x, x, x, x]").replace("\n", ",\n") + "}",
    "itself": "id: s\ncases: &all [*all]",
    "one long text often": f"id: s\nname: &p {'long ' * 2000}\ncases: [{{id: a, user_messages: [{'*p, ' * 110_000}]}}]",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_aliases_that_multiply_are_one_clear_error(bomb: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"set\.yaml:\d+: \$: .*aliases that stand for more than 1024 MB") as caught:
        read_text(tmp_path, BOMBS[bomb])
    assert "\n" not in str(caught.value)


def test_the_sets_of_stores_are_found(tmp_path: Path) -> None:
    for folder in ("one/results", "one/sets", "two/results", "two/sets", "plain/sets", "more/deep/results"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "more/deep/sets").mkdir()
    run = write_document(tmp_path / "one/results/run.json", case_result())
    one, two, deep = (str(tmp_path / name / "sets") for name in ("one", "two", "more/deep"))
    assert eval_sets_of(SAMPLE, ()) == [str(SAMPLE / "sets")]
    assert eval_sets_of(tmp_path / "one", ()) == [one]
    assert eval_sets_of([tmp_path / "two", run, f"{tmp_path}/o*", tmp_path / "two"], ()) == [two, one]
    assert eval_sets_of(tmp_path / "more", ()) == [deep]
    assert eval_sets_of([tmp_path / "plain", run, "-", tmp_path / "nowhere", f"{tmp_path}/*.json"], ()) == []
    assert eval_sets_of([], ()) == []


def test_the_prompts_of_a_store_that_is_the_source_can_be_read() -> None:
    assert read_prompts(eval_sets_of(str(SAMPLE), ())).equals(read_prompts(SAMPLE / "sets/airline.json"))
