"""Pairs hold a prompt that both sides share and two completions, as plain Python makes them of the same traces."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_export as pe
from polars_export.cli import main
from polars_export.targets import Format, Unit, targets
from tests import rowwise_pairs
from tests.builders import case_result, turn, write_lines
from tests.trace_tables import (
    Call,
    Trace,
    Turn,
    conversation,
    llamafactory_conversation,
    openai_conversation,
    pairs,
    rendered,
    system,
    user,
)

if TYPE_CHECKING:
    from pathlib import Path


Json = dict[str, Any]

COMPLETION = st.sampled_from(["all", "first"])
TARGETS = ("trl", "openai", "llamafactory")


def outcomes(given_pairs: list[list[Trace]], **options: object) -> list[Json | str]:
    """Return for each pair its record, or why there is none."""
    records, made = rendered([side for pair in given_pairs for side in pair], "dpo", **options)
    assert made.reasons is not None
    assert made.reasons.gather_every(2).equals(made.reasons.gather_every(2, offset=1))
    left = iter(records)
    return [reason or next(left) for reason in made.reasons.gather_every(2)]


SEVERAL = st.lists(pairs(), min_size=1, max_size=4)


@pytest.mark.property
@given(SEVERAL, COMPLETION, st.sampled_from(["field", "think", "drop"]))
def test_pairs_for_trl_are_those_of_plain_python(given_pairs: list[list[Trace]], completion: str, way: str) -> None:
    expected = [
        rowwise_pairs.trl(*(conversation(side, way) for side in pair), first=completion == "first")
        for pair in given_pairs
    ]
    assert outcomes(given_pairs, target="trl", completion=completion, reasoning=way) == expected


@pytest.mark.property
@given(SEVERAL, COMPLETION)
def test_pairs_for_openai_are_those_of_plain_python(given_pairs: list[list[Trace]], completion: str) -> None:
    expected = [
        rowwise_pairs.openai(*map(openai_conversation, pair), first=completion == "first") for pair in given_pairs
    ]
    broken = {"unanswered_call", "repeated_call_id", "repeated_result"}
    got = outcomes(given_pairs, target="openai", completion=completion)
    assert ["broken calls" if isinstance(each, str) and each in broken else each for each in got] == expected


@pytest.mark.property
@given(SEVERAL, COMPLETION)
def test_pairs_for_llamafactory_are_those_of_plain_python(given_pairs: list[list[Trace]], completion: str) -> None:
    expected = [
        rowwise_pairs.llamafactory(*map(llamafactory_conversation, pair), first=completion == "first")
        for pair in given_pairs
    ]
    got = outcomes(given_pairs, target="llamafactory", completion=completion)
    for record in got:
        if isinstance(record, dict):
            for message in (*record["conversations"], record["chosen"], record["rejected"]):
                if message["from"] == "function_call":
                    message["value"] = json.loads(message["value"])
    assert got == expected


LOOK = Turn("Let me see.", (Call("1", "look", {"at": 7}),), ((0, "seen"),), (system(), user()))
SAME_LOOK = Turn("Let me see.", (Call("9", "look", {"at": 7}),), ((0, "seen"),), (system(), user()))
GOOD, BAD = Turn("Good."), Turn("Bad.")


def roles(messages: list[Json]) -> list[str]:
    return [message["role"] for message in messages]


def test_a_first_turn_that_both_sides_share_belongs_to_the_prompt_with_the_ids_of_the_chosen_side() -> None:
    (record,) = outcomes([[Trace((LOOK, GOOD)), Trace((SAME_LOOK, BAD))]], target="trl")
    assert isinstance(record, dict)
    assert roles(record["prompt"]) == ["system", "user", "assistant", "tool"]
    assert record["prompt"][2]["tool_calls"][0]["id"] == record["prompt"][3]["tool_call_id"] == "1"
    assert [record["chosen"][0]["content"], record["rejected"][0]["content"]] == ["Good.", "Bad."]
    (record,) = outcomes([[Trace((LOOK, GOOD)), Trace((SAME_LOOK, BAD))]], target="openai")
    assert isinstance(record, dict)
    assert roles(record["input"]["messages"]) == ["system", "user", "assistant", "tool"]
    (record,) = outcomes([[Trace((LOOK, GOOD)), Trace((SAME_LOOK, BAD))]], target="llamafactory")
    assert isinstance(record, dict)
    assert [message["from"] for message in record["conversations"]] == ["human", "function_call", "observation"]
    assert (record["system"], record["chosen"]["value"], record["rejected"]["value"]) == ("Be kind.", "Good.", "Bad.")


def test_examples_that_both_sides_share_belong_to_the_prompt() -> None:
    example = Turn("Like this.", preceding=(user("How?"),), context=True)
    sides = [Trace((example, Turn(text, preceding=(user("Now you."),)))) for text in ("Good.", "Bad.")]
    (record,) = outcomes([sides], target="trl")
    assert isinstance(record, dict)
    assert roles(record["prompt"]) == ["user", "assistant", "user"]
    _, made = rendered(sides, "dpo", target="trl")
    assert made.dropped_content == {}


def test_a_prompt_ends_where_both_sides_let_the_agent_speak() -> None:
    first = Turn("Which?", preceding=(user(),))
    sides = [Trace((first, Turn(text, preceding=(user(text),)))) for text in ("a", "b")]
    (record,) = outcomes([sides], target="trl")  # the users' second messages part; back to the agent's first
    assert isinstance(record, dict)
    assert [roles(record[key]) for key in ("prompt", "chosen")] == [["user"], ["assistant", "user", "assistant"]]
    longer = [Trace((first,)), Trace((first, Turn("More.", preceding=(user("And?"),))))]
    (record,) = outcomes([longer], target="trl")  # one side is the beginning of the other
    assert isinstance(record, dict)
    assert [roles(record[key]) for key in ("prompt", "chosen")] == [["user"], ["assistant"]]
    assert outcomes([longer], target="trl", completion="first") == ["identical"]


def test_sides_that_answer_different_prompts_make_no_pair() -> None:
    def of(*sides: Turn, target: str = "trl") -> Json | str:
        (outcome,) = outcomes([[Trace((side,)) for side in sides]], target=target)
        return outcome

    asked = [Turn(text, preceding=(system(), user(text))) for text in ("a", "b")]
    assert [of(*asked, target=target) for target in TARGETS] == ["different_prompts"] * 3
    told = [Turn("x", preceding=(system(text), user())) for text in ("a", "b")]
    assert [of(*told, target=target) for target in TARGETS] == ["different_prompts"] * 3
    assert of(Turn("x", preceding=(user(),)), Turn("x", preceding=(user(), user("And?")))) == "different_prompts"
    examples = [Turn("x", preceding=(user(),), context=True), Turn("y", preceding=(user(),))]
    (outcome,) = outcomes([[Trace((example, GOOD)) for example in examples]], target="trl")
    assert outcome == "different_prompts"  # what the agent did not say in this run belongs to the prompt
    greeted = [Turn("Hi.", preceding=(system(),)), Turn("x", preceding=(user("a"),))]
    others = [Turn("Hi.", preceding=(system(),)), Turn("x", preceding=(user("b"),))]
    (outcome,) = outcomes([[Trace(tuple(greeted)), Trace(tuple(others))]], target="trl")
    assert outcome == "different_prompts"


def test_sides_without_any_user_share_a_prompt_where_they_are_kept() -> None:
    (record,) = outcomes([[Trace((GOOD,)), Trace((BAD,))]], target="trl")
    assert isinstance(record, dict)
    assert record["prompt"] == []


def test_different_prompts_alone_say_which_formats_need_no_shared_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [case_result("a", turn("x"), scores=[score], user_messages=[f"{score}"]) for score in (0.1, 0.9)]
    source = write_lines(tmp_path / "runs.jsonl", *runs)
    problem = "2 traces read, 2 different_prompts; --format kto with --target llamafactory or trl needs no shared"
    for target in TARGETS:
        with pytest.raises(pe.NothingToExportError, match=problem):
            pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions("dpo", target=target))
    whole = Format(name="reward", module="none", summary="two conversations", keys=("chosen",), unit=Unit.PAIR)
    more = {"trl": replace(targets()["trl"], formats=(*targets()["trl"].formats, whole))}
    monkeypatch.setattr("polars_export.targets.targets", lambda: targets() | more)
    with pytest.raises(pe.NothingToExportError, match="or trl, or --format reward with --target trl needs no"):
        pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions("dpo", target="trl"))
    assert [path.name for path in tmp_path.iterdir()] == ["runs.jsonl"]


def test_the_first_messages_of_the_sides_alone_are_a_pair(tmp_path: Path) -> None:
    def side(text: str) -> Trace:
        asked = Turn(text, (Call("1", text, {}),), ((0, "seen"),), (user(),))
        return Trace((asked, Turn("Then.", context=True), GOOD), (user("Bye."),))

    sides = [side("a"), side("b")]
    cut = {"messages behind the first of the completion": 6, "messages at the end": 2}
    for target in TARGETS:
        records, made = rendered(sides, "dpo", target=target, completion="first")
        beside = {"texts beside calls": 2} if target == "llamafactory" else {}
        assert made.dropped_content == cut | beside
        assert [len(record.get("chosen", [0])) for record in records] == ([2] if beside else [1])
    assert outcomes([sides], target="openai") == ["not_single_message"]
    whole = {"messages at the end": 2, "context messages to learn from": 2}
    assert rendered(sides, "dpo", target="trl")[1].dropped_content == whole
    source = write_lines(
        tmp_path / "runs.jsonl",
        *[
            case_result("a", turn(text), turn("Then."), scores=[score], user_messages=["?"])
            for text, score in (("x", 0.9), ("y", 0.1))
        ],
    )
    command = ["export", str(source), "--format", "dpo", "--target", "openai", "--output", str(tmp_path / "o.jsonl")]
    assert main(command) == 3
    assert main([*command, "--completion", "first"]) == 0
    record = json.loads((tmp_path / "o.jsonl").read_bytes())
    assert record["preferred_output"] == [{"role": "assistant", "content": "x"}]


def test_calls_of_a_shared_prompt_must_be_answered_for_openai() -> None:
    asked = Turn("", (Call("1", "look", {}), Call("2", "look", {})), ((0, "seen"),), (user(),))
    assert outcomes([[Trace((asked, GOOD)), Trace((asked, BAD))]], target="openai") == ["unanswered_call"]


@pytest.mark.parametrize(("name", "target"), [("chatml", "trl"), ("kto", "trl"), ("dpo", "reference")])
def test_only_pairs_with_a_prompt_have_a_first_message_of_the_completion(name: str, target: str) -> None:
    takers = "--completion: first is for --format dpo with --target llamafactory or openai or trl"
    with pytest.raises(pe.OptionError, match=takers):
        pe.ExportOptions(name, target=target, completion="first")


def test_what_llamafactory_does_not_write_makes_no_difference() -> None:
    sides = [
        Trace((Turn(text, (Call("1", "look", {}),), ((0, "seen"),), (user(),)), Turn(end)))
        for text, end in (("a", "Good."), ("b", "Bad."))
    ]
    (record,) = outcomes([sides], target="llamafactory")  # the texts beside calls differ
    assert isinstance(record, dict)
    assert len(record["conversations"]) == 3
