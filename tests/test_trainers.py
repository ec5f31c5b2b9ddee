"""The records for trainers equal what plain Python makes of the same traces, row by row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_export as pe
from polars_export.formats import record_format
from polars_export.inputs.eval_results.decoder import TraceDecoder
from polars_export.inputs.eval_results.objects import objects_chunk
from polars_export.prompts.eval_sets import PROMPTS
from polars_export.prompts.join import SideInputs
from polars_export.tables.builder import TableBuilder
from polars_export.tables.projection import Projection
from polars_export.writers.jsonlines import encode
from tests import rowwise_trainers
from tests.builders import call, case_result, result, turn
from tests.rowwise_trainers import Case
from tests.strategies import TEXT, case_results

if TYPE_CHECKING:
    from polars_export.tables.tables import Tables

Json = dict[str, Any]

CASES = st.builds(Case, TEXT, st.lists(TEXT, max_size=3).map(tuple))
REASONING = st.sampled_from(["field", "think", "drop"])


def prompts(cases: dict[str, Case]) -> pl.DataFrame:
    rows = [("set", name, case.system_prompt, list(case.user_messages)) for name, case in cases.items()]
    return pl.DataFrame(rows, schema=PROMPTS, orient="row")


def tables_of(traces: list[Json], cases: dict[str, Case]) -> Tables:
    decoded = TraceDecoder(Projection.CONVERSATIONS).decode(objects_chunk(traces, 0, "set"))
    assert not decoded.rejected
    builder = TableBuilder(Projection.CONVERSATIONS)
    builder.add(decoded.columns)
    return SideInputs(prompts(cases)).attach(builder.build())


def render(traces: list[Json], cases: dict[str, Case], **options: Any) -> list[Json]:  # noqa: ANN401 - options
    """Return the records of some traces as their JSON lines load."""
    asked = pe.ExportOptions(**options)
    format_ = record_format(asked)
    rendered = format_.render(tables_of(traces, cases), asked)
    assert rendered.records.cast(format_.schema(asked)).num_rows == len(rendered.rows)
    lines = encode(rendered.records, format_.schema(asked), format_.ABSENT)
    return [json.loads(line) for line in lines.split(b"\n")[:-1]]


@st.composite
def traces_with_cases(draw: st.DrawFn) -> tuple[list[Json], dict[str, Case]]:
    traces = draw(st.lists(case_results(), min_size=1, max_size=5))
    return traces, {name: draw(CASES) for name in {trace["case_id"] for trace in traces}}


@given(given_cases=traces_with_cases(), reasoning=REASONING)
def test_trl_chatml_prompt_completion_and_kto(given_cases: tuple[list[Json], dict[str, Case]], reasoning: str) -> None:
    traces, cases = given_cases
    expected = [rowwise_trainers.trl(trace, cases[trace["case_id"]], reasoning) for trace in traces]
    assert render(traces, cases, format="chatml", target="trl", reasoning=reasoning) == expected
    for name in ("prompt-completion", "kto"):
        expected = []
        for trace in traces:
            spoken = rowwise_trainers.messages(trace, cases[trace["case_id"]], "trl", reasoning)
            start = rowwise_trainers.prompt_length(spoken)
            record: Json = {"prompt": spoken[:start], "completion": spoken[start:]}
            if name == "kto":
                record["label"] = True
            expected.append(record | {"metadata": rowwise_trainers.metadata(trace)})
        assert render(traces, cases, format=name, target="trl", reasoning=reasoning) == expected


@given(given_cases=traces_with_cases())
def test_openai_chatml_and_llamafactory_sharegpt(given_cases: tuple[list[Json], dict[str, Case]]) -> None:
    openai_chatml_equals_row_by_row(*given_cases)
    llamafactory_sharegpt_equals_row_by_row(*given_cases)


def openai_chatml_equals_row_by_row(traces: list[Json], cases: dict[str, Case]) -> None:
    got = render(traces, cases, format="chatml", target="openai")
    for record in got:
        for message in record["messages"]:
            for made in message.get("tool_calls", []):
                made["function"]["arguments"] = json.dumps(json.loads(made["function"]["arguments"]))
    every = [rowwise_trainers.messages(trace, cases[trace["case_id"]], "openai") for trace in traces]
    assert got == [{"messages": spoken} for spoken in every if rowwise_trainers.answered(spoken)]


def llamafactory_sharegpt_equals_row_by_row(traces: list[Json], cases: dict[str, Case]) -> None:
    expected = []
    for trace in traces:
        case = cases[trace["case_id"]]
        turns = rowwise_trainers.alternating(trace, case)
        if turns is not None:
            expected.append({"conversations": turns, "system": case.system_prompt, "tools": ""})
    got = render(traces, cases, format="sharegpt", target="llamafactory")
    for record in got:
        for message in record["conversations"]:
            if message["from"] == "function_call":
                message["value"] = json.loads(message["value"])
    assert got == expected


CASE = {"a": Case("Be kind.", ("Hello?",))}


def test_arguments_may_hold_what_is_cut_elsewhere() -> None:
    arguments = {"a": 1, "tool_calls": None, "name": None, "content": None, "s": ',"tool_calls":null', "n": 1e20}
    trace = case_result("a", turn(',"name":null', calls=[call("f", arguments)], results=[result()]), final="x")
    (record,) = render([trace], CASE, format="chatml", target="trl")
    assert record["messages"][2]["tool_calls"][0]["function"]["arguments"] == arguments
    assert record["messages"][2]["content"] == ',"name":null'


def test_parquet_arguments_are_the_json_type_or_plain_strings() -> None:
    for arguments, kind in (("object", pa.json_()), ("string", pa.string())):
        options = pe.ExportOptions("chatml", target="trl", arguments=arguments)
        message = record_format(options).schema(options).field("messages").type.value_type
        assert message.field("tool_calls").type.value_type.field("function").type.field("arguments").type == kind


def dropped(target: str, name: str, *turns: Json, final: str | None = None) -> int:
    options = pe.ExportOptions(name, target=target)
    tables = tables_of([case_result("a", *turns, final=final)], CASE)
    return record_format(options).render(tables, options).dropped[pe.DropReason.NOT_REPRESENTABLE]


def test_openai_takes_no_call_without_its_one_result() -> None:
    def count(calls: list[Json], results: list[Json], *behind: Json) -> int:
        return dropped("openai", "chatml", turn("x", calls=calls, results=results), *behind)

    more = turn("y", index=1)
    one, two = call(call_id="1"), call(call_id="2")
    assert count([one, two], [result(call_id="2"), result(call_id="1")], more) == 0
    assert count([one, two], [result(call_id="1")], more) == 1
    assert count([one, one], [result(call_id="1"), result(call_id="1")], more) == 1
    assert count([], [result(call_id="1")], more) == 0  # an orphan, which is not rendered
    assert count([one], []) == 0  # nothing follows


def test_llamafactory_takes_nothing_that_breaks_the_alternation() -> None:
    assert dropped("llamafactory", "sharegpt", turn("a", calls=[call()]), turn("b", index=1)) == 1
    assert dropped("llamafactory", "sharegpt", turn("a", calls=[call()], results=[result()]), turn("b")) == 0
    assert dropped("llamafactory", "sharegpt", turn("a"), turn("b")) == 0
    assert dropped("llamafactory", "sharegpt", turn("")) == 1


@pytest.mark.parametrize("target", ["openai", "llamafactory"])
def test_pairs_of_single_answers(target: str) -> None:
    runs = [case_result("a", turn("good")), case_result("a", turn("bad"))]
    runs += [case_result("a", turn("same")), case_result("a", turn("same"))]
    runs += [case_result("a", turn("x", calls=[call()], results=[result()]), final="y"), case_result("a", turn("z"))]
    options = pe.ExportOptions("dpo", target=target)
    rendered = record_format(options).render(tables_of(runs, CASE), options)
    assert rendered.dropped == {"not_representable": 2, "identical": 2}
    (record,) = render(runs, CASE, format="dpo", target=target)
    if target == "openai":
        assert record == {
            "input": {"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello?"}]},
            "preferred_output": [{"role": "assistant", "content": "good"}],
            "non_preferred_output": [{"role": "assistant", "content": "bad"}],
        }
    else:
        assert record == {
            "conversations": [{"from": "human", "value": "Hello?"}],
            "chosen": {"from": "gpt", "value": "good"},
            "rejected": {"from": "gpt", "value": "bad"},
            "system": "Be kind.",
            "tools": "",
        }
