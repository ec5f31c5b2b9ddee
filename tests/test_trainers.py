"""The records for trainers equal what plain Python makes of the same traces, row by row."""

from __future__ import annotations

import json
from dataclasses import replace
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
from polars_export.writers.blocks import row_bytes
from polars_export.writers.jsonlines import encode
from tests import rowwise_trainers
from tests.builders import call, case_result, result, turn, write_lines
from tests.rowwise_trainers import Case
from tests.strategies import TEXT, case_results

if TYPE_CHECKING:
    from pathlib import Path

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
    expected = [rowwise_trainers.trl(trace, cases[trace["case_id"]], "set", reasoning) for trace in traces]
    assert render(traces, cases, format="chatml", target="trl", reasoning=reasoning) == expected
    for name in ("prompt-completion", "kto"):
        expected = []
        for trace in traces:
            spoken = rowwise_trainers.messages(trace, cases[trace["case_id"]], "trl", reasoning)
            if not any(message["role"] == "assistant" for message in spoken):
                continue
            start = rowwise_trainers.prompt_length(spoken)
            record: Json = {"prompt": spoken[:start], "completion": spoken[start:]}
            if name == "kto":
                record["label"] = True
            expected.append(record | {"metadata": rowwise_trainers.metadata(trace, "set")})
        got = render(traces, cases, format=name, target="trl", reasoning=reasoning, missing_prompt="keep")
        assert got == expected


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


def reasons(options: pe.ExportOptions, traces: list[Json]) -> list[str | None]:
    """Return for each trace why it is in no record, None if it is in one."""
    rendered = record_format(options).render(tables_of(traces, CASE), options)
    return [None] * len(traces) if rendered.reasons is None else rendered.reasons.to_list()


def reason(target: str, name: str, *turns: Json, final: str | None = None) -> str | None:
    (only,) = reasons(pe.ExportOptions(name, target=target), [case_result("a", *turns, final=final)])
    return only


def test_openai_takes_no_call_without_its_one_result() -> None:
    def of(calls: list[Json], results: list[Json], *behind: Json) -> str | None:
        return reason("openai", "chatml", turn("x", calls=calls, results=results), *behind)

    more = turn("y", index=1)
    one, two = call(call_id="1"), call(call_id="2")
    assert of([one, two], [result(call_id="2"), result(call_id="1")], more) is None
    assert of([one, two], [result(call_id="1")], more) == "unanswered_call"
    assert of([one, one], [result(call_id="1"), result(call_id="1")], more) == "repeated_call_id"
    assert of([one], [result(call_id="1"), result(call_id="1")], more) == "repeated_result"
    assert of([], [result(call_id="1")], more) is None  # an orphan, which is not rendered
    assert of([one], []) is None  # nothing follows


def test_llamafactory_takes_nothing_that_breaks_the_alternation() -> None:
    def of(*turns: Json) -> str | None:
        return reason("llamafactory", "sharegpt", *turns)

    assert of(turn("a", calls=[call()]), turn("b", index=1)) == "adjacent_tool_calls"
    assert of(turn("a", calls=[call()], results=[result()]), turn("b")) is None
    assert of(turn("a"), turn("b")) is None
    assert of(turn("")) == "empty_last_message"


def test_llamafactory_reads_what_a_user_says_after_a_result_in_the_observation() -> None:
    trace = case_result("a", turn("", calls=[call()], results=[result("seen")]), turn("Done.", index=0))
    (record,) = render([trace], {"a": Case("", ("Look.", "And?"))}, format="sharegpt", target="llamafactory")
    assert [(message["from"], message["value"]) for message in record["conversations"]][2:] == [
        ("observation", "seen\n\nAnd?"),
        ("gpt", "Done."),
    ]


@pytest.mark.parametrize("name", ["sharegpt", "kto", "dpo"])
def test_llamafactory_wants_the_user_to_begin(name: str) -> None:
    options = pe.ExportOptions(name, target="llamafactory", missing_prompt="keep")
    tables = tables_of([case_result("a", turn("x")), case_result("a", turn("y"))], {})
    rendered = record_format(options).render(tables, options)
    assert rendered.reasons is not None
    assert rendered.reasons.to_list() == ["starts_with_assistant"] * 2


@pytest.mark.parametrize("target", ["trl", "llamafactory"])
def test_a_trace_whose_label_is_not_known_is_counted(target: str) -> None:
    runs = [case_result("a"), case_result("a"), case_result("a", scores=[0.2]), case_result("a", turn(""))]
    tables = tables_of(runs, CASE)
    values = [pl.Series("verdict", ["fail", None, "pass", "pass"]), pl.Series("score", [0.9, 0.7, None, 0.8])]
    tables = replace(tables, traces=tables.traces.with_columns(values))
    empty = "empty_last_message" if target == "llamafactory" else None
    for threshold, expected in (
        (None, [None, "unlabelled", None, empty]),
        (0.5, [None, None, "unlabelled", empty]),
    ):
        options = pe.ExportOptions("kto", target=target, label_threshold=threshold)
        rendered = record_format(options).render(tables, options)
        assert rendered.reasons is not None
        assert rendered.reasons.to_list() == expected
        assert rendered.rows.to_list() == [row for row, reason in enumerate(expected) if reason is None]


@pytest.mark.parametrize("target", ["openai", "llamafactory"])
def test_pairs_of_single_answers(target: str) -> None:
    runs = [case_result("a", turn("good")), case_result("a", turn("bad"))]
    runs += [case_result("a", turn("same")), case_result("a", turn("same"))]
    runs += [case_result("a", turn("x", calls=[call()], results=[result()]), final="y"), case_result("a", turn("z"))]
    options = pe.ExportOptions("dpo", target=target)
    assert reasons(options, runs) == [None, None, "identical", "identical", "not_single_message", "not_single_message"]
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


def test_metadata_tells_eval_set_and_run_behind_the_case() -> None:
    runs = [case_result("a", turn("good")), case_result("a", turn("bad"), scores=[0.1])]
    tables = tables_of(runs, CASE)
    tables = replace(tables, traces=tables.traces.with_columns(run=pl.Series(["3", None])))

    def metadata(name: str) -> list[tuple[str, object]]:
        options = pe.ExportOptions(name, target="trl")
        rendered = record_format(options).render(tables, options)
        schema = record_format(options).schema(options)
        assert rendered.records.cast(schema).schema == schema
        first: Json = pl.DataFrame(rendered.records.select(["metadata"]))["metadata"][0]
        return list(first.items())

    of_run = [("run", "3"), ("score", 1.0), ("model_id", "model"), ("turns", 1)]
    for name in ("chatml", "kto", "prompt-completion"):
        assert metadata(name) == [("case_id", "a"), ("eval_set_id", "set"), *of_run]
    assert metadata("dpo") == [
        ("case_id", "a"),
        ("eval_set_id", "set"),
        ("chosen_run", "3"),
        ("rejected_run", None),
        ("chosen_score", 1.0),
        ("rejected_score", 0.1),
        ("chosen_model_id", "model"),
        ("rejected_model_id", "model"),
    ]


def with_context() -> Tables:
    """Return a trace whose first turn the agent did not produce in this run: an example, called and answered."""
    first = turn("Look.", calls=[call(call_id="1")], results=[result(call_id="1")])
    tables = tables_of([case_result("a", first, turn("Yes.", index=1))], CASE)
    return replace(tables, turns=tables.turns.with_columns(context=pl.Series([True, False])))


def rendered_as(name: str, target: str, file_type: str | None) -> tuple[list[Json], dict[str, int]]:
    options = pe.ExportOptions(name, target=target, file_type=file_type)
    format_ = record_format(options)
    rendered = format_.render(with_context(), options)
    lines = encode(rendered.records, format_.schema(options), format_.ABSENT)
    return [json.loads(line) for line in lines.split(b"\n")[:-1]], rendered.dropped_content


def test_openai_learns_nothing_from_context() -> None:
    (record,), lost = rendered_as("chatml", "openai", "jsonl")
    assert lost == {}
    weights = [(message["role"], message.get("weight")) for message in record["messages"]]
    assert weights == [("system", None), ("user", None), ("assistant", 0), ("tool", None), ("assistant", None)]


def test_context_that_cannot_be_marked_is_counted() -> None:
    unmarked = {"context messages to learn from": 1}
    (record,), lost = rendered_as("chatml", "openai", "parquet")  # a column for all records would be needed
    assert lost == unmarked
    assert not any("weight" in message for message in record["messages"])
    assert rendered_as("chatml", "trl", None)[1] == unmarked
    assert rendered_as("sharegpt", "llamafactory", None)[1] == unmarked | {"texts beside calls": 1}


@pytest.mark.parametrize("name", ["prompt-completion", "kto"])
def test_context_belongs_to_the_prompt(name: str) -> None:
    (record,), lost = rendered_as(name, "trl", None)
    assert [message["role"] for message in record["prompt"]] == ["system", "user", "assistant", "tool"]
    assert [message["content"] for message in record["completion"]] == ["Yes."]
    assert lost == {}


@pytest.mark.parametrize("target", ["openai", "trl"])
def test_without_context_no_record_has_a_weight(target: str, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "runs.jsonl", case_result("a", turn("x"), turn("y")))
    for output in (tmp_path / "out.jsonl", tmp_path / "out.parquet", tmp_path / "out"):
        pe.export(source, output, pe.ExportOptions("chatml", target=target, missing_prompt="keep"))
    assert b"weight" not in (tmp_path / "out.jsonl").read_bytes()
    for path in (tmp_path / "out.parquet", *(tmp_path / "out/data").iterdir()):
        assert "weight" not in str(pl.read_parquet_schema(path))


@pytest.mark.parametrize(
    ("target", "name", "left_out"),
    [
        ("llamafactory", "sharegpt", turn("")),
        ("llamafactory", "kto", turn("")),
        ("llamafactory", "dpo", turn("x", calls=[call()], results=[result()])),
        ("openai", "dpo", turn("x", calls=[call()], results=[result()])),
    ],
)
def test_dropped_content_is_that_of_the_exported_traces(target: str, name: str, left_out: Json) -> None:
    trimmed = turn("x", calls=[call()], results=[result(), result(call_id="call-1")])
    options = pe.ExportOptions(name, target=target)
    runs = [case_result("a", trimmed), case_result("a", turn("y"))]
    runs += [case_result("a", left_out, turn("", index=1)), case_result("a", left_out, turn("", index=1))]
    rendered = record_format(options).render(tables_of(runs, CASE), options)
    assert rendered.reasons is not None
    assert rendered.reasons.is_null().to_list() == [True, True, False, False]
    assert rendered.dropped_content["tool results at the end"] == 2


def test_the_shards_of_openai_are_cut_as_if_there_were_no_weights() -> None:
    options = pe.ExportOptions("chatml", target="openai", file_type="jsonl")
    tables = tables_of([case_result("a", turn("x"))], CASE)
    weighted, plain = (
        record_format(asked).render(tables, asked).records.cast(record_format(asked).schema(asked))
        for asked in (options, replace(options, file_type=None))
    )
    assert weighted.schema != plain.schema
    sizes = [row_bytes(table.drop_columns("tools").to_batches()[0]).to_pylist() for table in (weighted, plain)]
    assert sizes[0] == sizes[1]
