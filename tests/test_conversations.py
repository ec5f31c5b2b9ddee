"""Records of single traces are conversations as they happened: users and systems anywhere, context, closing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_export as pe
from polars_export.formats import record_format
from tests.builders import write_lines
from tests.rowwise_pairs import written
from tests.rowwise_trainers import alternation, answered
from tests.trace_tables import (
    Call,
    Said,
    Trace,
    Turn,
    conversation,
    llamafactory_conversation,
    openai_conversation,
    rendered,
    system,
    traces,
    user,
)

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]

SEVERAL = st.lists(traces(), min_size=1, max_size=5)
UNMARKED = "context messages to learn from"


@given(SEVERAL, st.sampled_from(["field", "think", "drop"]))
def test_chatml_for_trl(given_traces: list[Trace], way: str) -> None:
    spoken = [conversation(trace, way) for trace in given_traces]
    records, made = rendered(given_traces, "chatml", target="trl", reasoning=way)
    assert records == [{"messages": written(messages)} for messages in spoken]
    assert made.dropped_content.get(UNMARKED, 0) == context_in(*spoken)


def context_in(*conversations: list[Json]) -> int:
    return sum(message["context"] for messages in conversations for message in messages)


@pytest.mark.parametrize("name", ["prompt-completion", "kto"])
@given(given_traces=SEVERAL, missing=st.sampled_from(["keep", "skip"]))
def test_prompt_and_completion_for_trl(name: str, given_traces: list[Trace], missing: str) -> None:
    expected, completions, reasons = [], [], []
    for messages in map(conversation, given_traces):
        answers = [place for place, m in enumerate(messages) if m["role"] == "assistant" and not m["context"]]
        asked = [place for place in answers if any(m["role"] == "user" for m in messages[:place])]
        reason = None if answers else "no_answer"
        if answers and not asked and missing == "skip":
            reason = "missing_prompt"
        reasons.append(reason)
        if reason is None:
            start = (asked or answers)[0]
            completions.append(messages[start:])
            expected.append({"prompt": written(messages[:start]), "completion": written(messages[start:])})
    records, made = rendered(given_traces, name, target="trl", missing_prompt=missing)
    assert records == [record | ({"label": True} if name == "kto" else {}) for record in expected]
    assert made.reasons is not None
    assert made.reasons.to_list() == reasons
    assert made.dropped_content.get(UNMARKED, 0) == context_in(*completions)


@given(SEVERAL, st.sampled_from(["jsonl", "parquet"]))
def test_chatml_for_openai(given_traces: list[Trace], file_type: str) -> None:
    spoken = [messages for messages in map(openai_conversation, given_traces) if answered(messages)]
    expected = [
        [
            message | ({"weight": 0} if marks and file_type == "jsonl" else {})
            for message, marks in zip(written(messages), [m["context"] for m in messages], strict=True)
        ]
        for messages in spoken
    ]
    records, made = rendered(given_traces, "chatml", target="openai", file_type=file_type)
    assert [record["messages"] for record in records] == expected
    assert made.dropped_content.get(UNMARKED, 0) == (0 if file_type == "jsonl" else context_in(*spoken))


@pytest.mark.parametrize("name", ["sharegpt", "kto"])
@given(given_traces=SEVERAL)
def test_alternation_for_llamafactory(name: str, given_traces: list[Trace]) -> None:
    every = [alternation(llamafactory_conversation(trace)) for trace in given_traces]
    records, made = rendered(given_traces, name, target="llamafactory")
    for record in records:
        for message in record["conversations"]:
            if message["from"] == "function_call":
                message["value"] = json.loads(message["value"])
    assert made.reasons is not None
    assert made.reasons.to_list() == [reason for _, reason, _ in every]
    tag = {"kto_tag": True} if name == "kto" else {}
    assert records == [
        {"conversations": merged, **tag, "system": told, "tools": ""} for merged, reason, told in every if not reason
    ]


def test_only_a_message_that_the_agent_did_not_produce_has_a_weight() -> None:
    greeting = Turn("Welcome.", preceding=(system(),), context=True)
    trace = Trace((greeting, Turn("Good.", preceding=(user(),))))
    ((record,), made) = rendered([trace], "chatml", target="openai", file_type="jsonl")
    assert [message.get("weight") for message in record["messages"]] == [None, 0, None, None]
    assert made.dropped_content == {}
    options = pe.ExportOptions("chatml", target="openai", file_type="jsonl")
    message = record_format(options).schema(options).field("messages").type.value_type
    assert str(message.field("weight").type) == "int64"
    pairs = pe.ExportOptions("dpo", target="openai", file_type="jsonl")
    assert "weight" not in str(record_format(pairs).schema(pairs))  # only OpenAI's supervised records know it


def test_llamafactory_has_one_place_for_system_messages() -> None:
    def of(*turns: Turn) -> tuple[list[Json], list[str | None]]:
        records, made = rendered([Trace(turns)], "sharegpt", target="llamafactory")
        assert made.reasons is not None
        return records, made.reasons.to_list()

    (record,), _ = of(Turn("a", preceding=(system("One."), system("Two."), user())))
    assert record["system"] == "One.\n\nTwo."
    asked = Turn("a", preceding=(system(), user()))
    assert of(asked, Turn("b", preceding=(system("Now be short."), user()))) == ([], ["system_message_inside"])
    assert of(Turn("a", preceding=(user(), system()))) == ([], ["system_message_inside"])
    assert of(asked, Turn("b", preceding=(system(""), user())))[1] == [None]
    closed = Trace((asked,), (system("Over."),))
    records, made = rendered([closed], "sharegpt", target="llamafactory")
    assert records[0]["system"] == "Be kind."
    assert made.dropped_content == {"messages at the end": 1}


def test_of_a_labelled_completion_for_llamafactory_only_the_last_message_is_learned() -> None:
    example = Turn("Like this.", preceding=(user(),), context=True)
    trace = Trace((example, Turn("Good.", preceding=(user(),))))
    assert rendered([trace], "kto", target="llamafactory")[1].dropped_content == {}
    assert rendered([trace], "sharegpt", target="llamafactory")[1].dropped_content == {UNMARKED: 1}


def test_closing_messages_stand_before_the_final_response() -> None:
    called = Turn("", (Call("1", "look", {}),), ((0, "seen"),), (user(),))
    ((record,), made) = rendered([Trace((called,), (user("And?"),), "Done.")], "chatml", target="trl")
    assert [message["content"] for message in record["messages"]][-3:] == ["seen", "And?", "Done."]
    assert made.dropped_content == {}


@pytest.mark.parametrize("name", ["prompt-completion", "kto"])
def test_a_trace_whose_only_user_is_never_answered_lacks_its_prompt(name: str, tmp_path: Path) -> None:
    spoken = [{"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Bye."}]
    answered_ = [*spoken, {"role": "assistant", "content": "Bye!"}]
    source = write_lines(tmp_path / "rows.jsonl", {"messages": spoken}, {"messages": answered_})
    out = tmp_path / "out.jsonl"
    options = {"target": "trl", "label_threshold": 0.0} if name == "kto" else {"target": "trl"}
    with pytest.raises(pe.MissingPromptError, match=r"1 cases have no user message"):
        pe.export(source, out, pe.ExportOptions(name, **options))
    report = pe.export(source, out, pe.ExportOptions("prompt-completion", target="trl", missing_prompt="skip"))
    assert report.dropped == {"missing_prompt": 1}
    assert json.loads(out.read_bytes())["prompt"] == spoken


@pytest.mark.parametrize(("name", "target"), [("chatml", "openai"), ("sharegpt", "llamafactory"), ("chatml", "trl")])
def test_names_of_speakers_that_a_record_cannot_carry_are_counted(name: str, target: str) -> None:
    trace = Trace((Turn("Hi.", preceding=(Said("user", "Hello?", "mia"),)),), (Said("user", "Bye.", "mia"),))
    ((record,), made) = rendered([trace], name, target=target)
    lost = {} if target == "trl" else {"names of speakers": 1}
    assert made.dropped_content == {"messages at the end": 1} | lost
    assert ("mia" in str(record)) == (target == "trl")
