"""Pairs hold a prompt that both sides share and two completions, as plain Python makes them of the same traces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_export as pe
from polars_export.formats import record_format
from polars_export.writers.jsonlines import encode
from tests import rowwise_pairs
from tests.trace_tables import Call, Trace, Turn, conversation, pairs, system, tables_of, user

if TYPE_CHECKING:
    from polars_export.formats.rendered import Rendered

Json = dict[str, Any]

COMPLETION = st.sampled_from(["all", "first"])
TARGETS = ("trl", "openai", "llamafactory")


def rendered(given: list[Trace], **options: Any) -> tuple[list[Json], Rendered]:  # noqa: ANN401 - options
    """Return the records of some traces as their JSON lines load, and the account of them."""
    asked = pe.ExportOptions(**{"format": "dpo", "missing_prompt": "keep", "include_metadata": False} | options)
    format_ = record_format(asked)
    made = format_.render(tables_of(given), asked)
    schema = format_.schema(asked)
    assert made.records.cast(schema).num_rows == len(made.rows)
    return [json.loads(line) for line in encode(made.records, schema, format_.ABSENT).split(b"\n")[:-1]], made


def outcomes(given_pairs: list[list[Trace]], **options: Any) -> list[Json | str]:  # noqa: ANN401 - options
    """Return for each pair its record, or why there is none."""
    records, made = rendered([side for pair in given_pairs for side in pair], **options)
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


def openai_conversation(trace: Trace) -> list[Json]:
    spoken = conversation(trace, "drop")
    for message in spoken:
        message.pop("name", None)
        if "tool_calls" in message and not message["content"]:
            del message["content"]
        for call in message.get("tool_calls", []):
            call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
    return spoken


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


def llamafactory_conversation(trace: Trace) -> list[Json]:
    spoken = conversation(trace, "think")
    for message in spoken:
        message.pop("name", None)
        if "tool_calls" in message:
            message["content"] = ""  # which is not written
    return spoken
