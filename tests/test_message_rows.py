"""Rows with a list of messages: every spelling of a conversation is the same trace."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_export as pe
from polars_export.formats import record_format
from polars_export.inputs.message_rows import DIALECT
from polars_export.sources.chunk import Chunk
from polars_export.tables.builder import TableBuilder
from polars_export.tables.projection import Projection
from polars_export.writers.jsonlines import encode
from tests.conversations import SPELLINGS, conversations, messages_of, openai

if TYPE_CHECKING:
    from polars_export.inputs.decoding import Decoded
    from polars_export.tables.tables import Tables
    from tests.conversations import Step

Json = dict[str, Any]

FIELD = "trajectory"
ASKED = {"role": "user", "content": "Hello?"}
ANSWERED = {"role": "assistant", "content": "Hi."}


def decode(lines: list[bytes], projection: Projection) -> Decoded:
    """Decode some rows as one chunk of lines."""
    match = DIALECT.matches_record({FIELD: [{"role": "user"}]})
    assert match
    ends = [sum(map(len, lines[: number + 1])) for number in range(len(lines))]
    spans = list(zip([0, *ends], ends, strict=False))
    chunk = Chunk("rows.jsonl", memoryview(b"".join(lines)), spans, range(1, len(lines) + 1))
    return DIALECT.decoder(match, projection, sort_arguments=False).decode(chunk)


def tables_of(rows: list[Json], projection: Projection = Projection.CONVERSATIONS) -> Tables:
    """Return the tables of some rows."""
    decoded = decode([json.dumps(row, ensure_ascii=False).encode() for row in rows], projection)
    assert not decoded.rejected
    builder = TableBuilder(projection)
    located = {"input": [None] * len(rows), "source": [None] * len(rows), "position": [None] * len(rows)}
    decoded.columns.traces.update(located if projection is Projection.FULL else {})
    builder.add(decoded.columns)
    return builder.build()


def records(tables: Tables) -> list[Json]:
    options = pe.ExportOptions("chatml", target="trl", missing_prompt="keep")
    format_ = record_format(options)
    schema = format_.schema(options)
    return [
        json.loads(line)
        for line in encode(format_.render(tables, options).records, schema, format_.ABSENT).split(b"\n")[:-1]
    ]


def turns_of(*messages: object, **fields: object) -> pl.DataFrame:
    return tables_of([{FIELD: list(messages), **fields}]).turns


def trace_of(*messages: object, **fields: object) -> Json:
    return tables_of([{FIELD: list(messages), **fields}], Projection.FULL).traces.row(0, named=True)


@given(st.lists(st.tuples(conversations(), st.sampled_from(list(SPELLINGS))), min_size=1, max_size=4))
def test_every_spelling_gives_the_conversation_that_plain_python_makes(
    given_rows: list[tuple[list[Step], str]],
) -> None:
    rows = [{FIELD: SPELLINGS[name](steps)} for steps, name in given_rows]
    tables = tables_of(rows)
    expected = [messages_of(steps) for steps, _ in given_rows]
    assert [record["messages"] for record in records(tables)] == [messages for messages, _ in expected]
    if any(tables.traces["turns"]):
        orphans = [count for (_, count), turns in zip(expected, tables.traces["turns"], strict=True) if turns]
        assert tables.turns["orphan_results"].sum() == sum(orphans)
    assert tables.turns["unknown_blocks"].sum() == 0


@given(given_steps=st.lists(conversations(with_ids=False), min_size=1, max_size=4), flat=st.booleans())
def test_results_without_ids_answer_calls_in_order_or_are_what_the_environment_says(
    given_steps: list[list[Step]], *, flat: bool
) -> None:
    tables = tables_of([{FIELD: openai(steps, flat=flat)} for steps in given_steps])
    expected = [messages_of(steps)[0] for steps in given_steps]
    assert [record["messages"] for record in records(tables)] == expected


@given(
    st.lists(st.tuples(conversations() | conversations(with_ids=False), st.sampled_from(list(SPELLINGS))), max_size=4)
)
def test_messages_are_counted_alike_at_every_projection(given_rows: list[tuple[list[Step], str]]) -> None:
    rows = [{FIELD: SPELLINGS[name](steps), "task_id": 1, "reward": 0.5} for steps, name in given_rows]
    if not rows:
        return
    outlines, conversations_ = tables_of(rows, Projection.SELECTION).traces, tables_of(rows).traces
    assert outlines.equals(conversations_.select(outlines.columns).with_columns(pl.col("metrics")), null_equal=True)
    held = tables_of(rows)
    others = [*held.turns["preceding"].list.explode().to_list(), *held.traces["closing"].list.explode().to_list()]
    spoken = [message["role"] for message in others if message]
    assert spoken.count("user") == outlines["user_messages"].sum()
    assert spoken.count("system") == outlines["system_messages"].sum()


def test_a_conversation_of_humans_and_gpts_with_calls_and_observations() -> None:
    call = json.dumps({"name": "look", "arguments": {"at": "sky"}})
    turns = turns_of(
        {"from": "system", "value": "Be kind."},
        {"from": "human", "value": "What is up?"},
        {"from": "function_call", "value": call},
        {"from": "observation", "value": "blue"},
        {"from": "gpt", "value": "<think>so</think>The sky."},
        {"from": "tool", "value": "$ "},
        {"from": "gpt", "value": "Bye."},
    ).to_dicts()
    assert [turn["text"] for turn in turns] == ["", "<think>so</think>The sky.", "Bye."]
    assert turns[0]["tool_calls"] == [{"id": None, "name": "look", "arguments": '{"at":"sky"}'}]
    (result,) = turns[0]["tool_results"]
    assert (result["name"], result["text"], result["tool_call_id"]) == ("look", "blue", None)
    assert turns[2]["preceding"] == [{"role": "user", "content": "$ ", "name": None}]
    assert {turn["reasoning"] for turn in turns} == {None}


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            {"id": "c", "function": {"name": "f", "arguments": '{"b": 1, "a": {"d":1.0}}'}},
            ("c", '{"b":1,"a":{"d":1.0}}'),
        ),
        ({"id": "c", "name": "f", "arguments": {"b": 1, "a": 2}}, ("c", '{"b":1,"a":2}')),
        ({"call_id": "c", "id": "item", "name": "f", "arguments": {}}, ("c", "{}")),
        ('{"id": "c", "function": {"name": "f", "arguments": "{}"}}', ("c", "{}")),
        ({"id": 3, "name": "f", "input": {}}, ("3", "{}")),
        ({"name": "f"}, (None, "{}")),
        ({"name": "f", "arguments": "[1, 2]"}, (None, '"[1, 2]"')),
        ({"name": "f", "arguments": "ls -l"}, (None, '"ls -l"')),
        ({"name": "f", "arguments": '{"a": NaN}'}, (None, '"{\\"a\\": NaN}"')),
        ({"name": "f", "arguments": ""}, (None, '""')),
        ({"name": "f", "arguments": None}, (None, "null")),
        ({"name": "f", "arguments": [1]}, (None, "[1]")),
        ({"name": "f", "arguments": {"n": 2**70}}, (None, '{"n":1.1805916207174113e21}')),
        ({"name": "f", "arguments": '{"n": 1180591620717411303424}'}, (None, '{"n":1.1805916207174113e21}')),
    ],
)
def test_calls_of_any_spelling(call: object, expected: tuple[str | None, str]) -> None:
    (made,) = turns_of(ASKED, {"role": "assistant", "tool_calls": [call]})["tool_calls"][0]
    assert made == {"id": expected[0], "name": "f", "arguments": expected[1]}


def test_integers_stay_as_they_are_where_all_is_read() -> None:
    message = {"role": "assistant", "tool_calls": [{"name": "f", "arguments": {"n": 2**70}}]}
    turns = tables_of([{FIELD: [ASKED, message]}], Projection.FULL).turns
    assert turns["tool_calls"][0][0]["arguments"] == '{"n":1180591620717411303424}'


def test_a_call_as_the_first_api_of_functions_had_it() -> None:
    message = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a": 1}'}}
    turns = turns_of(ASKED, message, {"role": "function", "name": "f", "content": "done"}, ANSWERED)
    assert turns["tool_calls"].to_list() == [[{"id": None, "name": "f", "arguments": '{"a":1}'}], []]
    assert turns["tool_results"][0][0]["text"] == "done"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"reasoning_content": "a"}, "a"),
        ({"reasoning": "a"}, "a"),
        ({"thinking": "a"}, "a"),
        ({"reasoning_content": "", "reasoning": "a"}, "a"),
        ({"reasoning_content": "a", "reasoning": "a"}, "a"),
        ({"reasoning_content": None}, None),
        ({"content": [{"type": "thinking", "thinking": "a"}, {"type": "thinking", "thinking": "b"}]}, "ab"),
        ({"content": [{"type": "reasoning", "text": "a"}, {"type": "text", "text": "x"}]}, "a"),
        ({"content": "<think>a</think>x"}, None),
    ],
)
def test_reasoning_of_any_spelling(message: Json, expected: str | None) -> None:
    (turn,) = turns_of(ASKED, {"role": "assistant", "content": "x", **message}).to_dicts()
    assert turn["reasoning"] == expected
    assert turn["thinking_blocks"] == (len(message["content"]) if expected == "ab" else expected is not None)


def test_reasoning_may_stand_behind_its_own_call_and_before_the_next_message() -> None:
    items = [
        ASKED,
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "behind"}], "summary": []},
        {"type": "function_call_output", "call_id": "1", "output": [{"type": "input_text", "text": "seen"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "One."}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "next"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Two."}]},
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
        {"type": "web_search_call", "id": "w"},
        ASKED,
        {"type": "reasoning", "summary": "alone"},
    ]
    turns = turns_of(*items)
    assert turns["text"].to_list() == ["", "One.", "Two.", ""]
    assert turns["reasoning"].to_list() == ["behind", None, "next", "alone"]
    assert turns["tool_results"][0][0]["text"] == "seen"
    assert turns["unknown_blocks"].to_list() == [0, 0, 2, 0]


def test_parts_that_have_no_place_are_counted_where_they_stood() -> None:
    image, text = {"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "a"}
    turns = turns_of(
        {"role": "user", "content": [text, image, text]},
        {"role": "assistant", "content": [text, {"type": "redacted_thinking", "data": "x"}], "refusal": "no"},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "?", "content": [image, text]}, image]},
        {"role": "assistant", "content": "b", "tool_calls": [{"id": "1", "name": "f", "arguments": {}}]},
        {"role": "tool", "tool_call_id": "1", "content": [text, {"type": "video"}, text]},
        {"role": "user", "content": [image], "tool_calls": [{"name": "of the user"}]},
    )
    assert turns["preceding"][0][0]["content"] == "aa"
    assert turns["image_blocks"].to_list() == [3, 1]
    assert turns["unknown_blocks"].to_list() == [2, 2]
    assert turns["orphan_results"].to_list() == [1, 0]
    assert turns["tool_results"][1][0]["text"] == "aa"


def test_what_a_tool_returns_as_json_is_its_text() -> None:
    call = {"role": "assistant", "tool_calls": [{"name": "f", "arguments": {}}]}
    for content, text in (({"b": 1, "a": [2]}, '{"b":1,"a":[2]}'), ([1, "x"], '[1,"x"]'), (None, ""), (3, "3")):
        turns = turns_of(ASKED, call, {"role": "tool", "content": content}, ANSWERED)
        assert turns["tool_results"][0][0]["text"] == text


def test_a_users_name_and_an_error_of_a_tool_are_kept() -> None:
    call = {"role": "assistant", "tool_calls": [{"name": "f", "arguments": {}}]}
    turns = turns_of({**ASKED, "name": "ann"}, call, {"role": "tool", "content": "x", "is_error": True}, ANSWERED)
    assert turns["preceding"][0][0] == {"role": "user", "content": "Hello?", "name": "ann"}
    assert turns["tool_results"][0][0]["is_error"]


def test_a_row_says_its_case_run_score_model_and_tools() -> None:
    tool = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
    trace = trace_of(ASKED, ANSWERED, task_id=7, trial=0, reward=1, model="m", tools=[tool])
    assert (trace["eval_set_id"], trace["case_id"], trace["run"], trace["model_id"]) == (None, "7", "0", "m")
    assert (trace["score"], trace["verdict"], trace["final_response"], trace["extra"]) == (1.0, None, None, None)
    assert trace["metrics"] == [{"evaluator_name": "reward", "value": 1.0, "threshold": None, "details": None}]
    assert [json.loads(schema) for schema in trace["tools"]] == [tool]


@pytest.mark.parametrize("field", ["task_id", "instance_id", "example_id", "prompt_id"])
def test_fields_of_a_case(field: str) -> None:
    assert trace_of(ASKED, **{field: "a"})["case_id"] == "a"
    assert trace_of(ASKED, **{field: "a", "task_id" if field != "task_id" else "prompt_id": None})["case_id"] == "a"


@pytest.mark.parametrize(("fields", "score"), [({}, None), ({"score": None}, None), ({"score": -0.5}, -0.5)])
def test_a_missing_score_is_null(fields: Json, score: float | None) -> None:
    trace = trace_of(ASKED, ANSWERED, **fields)
    assert (trace["score"], len(trace["metrics"])) == (score, score is not None)


@pytest.mark.parametrize(
    "tools",
    [
        [{"name": "f", "parameters": {}}],
        [{"name": "f", "input_schema": {}}],
        [{"type": "function", "name": "f", "parameters": {}}],
        ['{"type": "function", "function": {"name": "f", "parameters": {}}}'],
        '[{"name": "f", "parameters": {}}]',
    ],
)
def test_tools_of_any_spelling_are_function_schemas(tools: object) -> None:
    (schema,) = trace_of(ASKED, tools=tools)["tools"]
    assert json.loads(schema) == {"type": "function", "function": {"name": "f", "parameters": {}}}


def test_no_tools_are_not_unknown_tools() -> None:
    assert (trace_of(ASKED, tools=[])["tools"], trace_of(ASKED, tools=None)["tools"]) == ([], None)
    assert trace_of(ASKED)["tools"] is None


def test_what_a_user_calls_is_counted_in_every_spelling() -> None:
    users = {**ASKED, "tool_calls": [{"id": "u", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
    for others in ([], [{"from": "human", "value": ""}]):
        turns = turns_of(users, ANSWERED, *others, users)
        assert turns["unknown_blocks"].to_list() == [2]


def test_texts_that_are_null_are_empty() -> None:
    null = {"type": "text", "text": None}
    (turn,) = turns_of({"role": "user", "content": [null]}, {"role": "assistant", "content": [null]}).to_dicts()
    assert (turn["text"], turn["preceding"][0]["content"]) == ("", "")


@pytest.mark.parametrize(("calls", "users"), [("[]", 2), ("null", 2), ('[{"name": "f"}]', 1)])
def test_calls_that_are_a_text_are_counted_at_every_projection(calls: str, users: int) -> None:
    rows = [{FIELD: [ASKED, {"role": "assistant", "tool_calls": calls}, {"role": "tool", "content": "$ "}, ANSWERED]}]
    for projection in (Projection.SELECTION, Projection.CONVERSATIONS):
        assert tables_of(rows, projection).traces["user_messages"].to_list() == [users]


def test_values_are_read_or_refused_however_deep_they_are_nested() -> None:
    refused: set[int] = set()
    for depth in (*range(1, sys.getrecursionlimit(), 50), *range(700, sys.getrecursionlimit()), 5_000):
        nested = '{"a":' * depth + "1" + "}" * depth
        for before, value, behind in (
            ('{"trajectory":[{"role":"assistant","tool_calls":[{"name":"f","arguments":', nested, "}]}]}"),
            ('{"trajectory":[{"role":"assistant","tool_calls":[{"name":"f","arguments":', json.dumps(nested), "}]}]}"),
            ('{"trajectory":[{"role":"assistant"},{"role":"tool","content":', nested, "}]}"),
            ('{"trajectory":[],"tools":[{"function":{"name":"f"},"x":', nested, "}]}"),
        ):
            decoded = decode([f"{before}{value}{behind}".encode()], Projection.CONVERSATIONS)
            refused |= {depth} if decoded.rejected else set()
    assert min(refused) > 600
    assert 5_000 in refused
