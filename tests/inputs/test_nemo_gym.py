"""NeMo Gym's rollouts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.inputs.registry import dialects
from tests.builders import write_lines
from tests.inputs.real_files import real_file

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True}
OUTPUT: list[Json] = [
    {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"at": 1}', "id": "fc"},
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "content": None},
    {"type": "function_call_output", "call_id": "c1", "output": "seen"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Done."}]},
]


def rollout(output: list[Json] | None = OUTPUT, **fields: Any) -> Json:  # noqa: ANN401 - fields
    asked = [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "Go.", "type": "message"}]
    response = None if output is None else {"output": output, "model": "m", "usage": {"total_tokens": 3}}
    return {"responses_create_params": {"input": asked, "tools": [TOOL]}, "response": response, "reward": 1.0} | fields


def messages(tmp_path: Path, *lines: Json) -> list[list[Json]]:
    output = tmp_path / "out.jsonl"
    options = pe.ExportOptions("chatml", target="trl", missing_prompt="keep")
    pe.export(write_lines(tmp_path / "rollouts.jsonl", *lines), output, options)
    return [json.loads(line)["messages"] for line in output.read_text(encoding="utf-8").splitlines()]


def test_items_become_messages(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": {"at": 1}}}
    assert messages(tmp_path, rollout()) == [
        [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Go."},
            {"role": "assistant", "content": "", "reasoning_content": "Hm.", "tool_calls": [call]},
            {"role": "tool", "content": "seen", "tool_call_id": "c1", "name": "look"},
            {"role": "assistant", "content": "Done."},
        ]
    ]


def test_a_prompt_may_be_a_text_with_instructions(tmp_path: Path) -> None:
    line = rollout(responses_create_params={"input": "Go.", "instructions": "Be kind."})
    assert [message["content"] for message in messages(tmp_path, line)[0][:2]] == ["Be kind.", "Go."]


def test_items_may_lack_their_type_and_users_may_speak_inside(tmp_path: Path) -> None:
    items = [{key: value for key, value in item.items() if key != "type"} for item in OUTPUT if "summary" not in item]
    made = messages(tmp_path, rollout([*items, {"role": "user", "content": "More."}, *OUTPUT[3:]]))
    assert [message["role"] for message in made[0]] == [
        "system", "user", "assistant", "tool", "assistant", "user", "assistant",
    ]  # fmt: skip


def test_many_calls_and_a_result_for_the_last(tmp_path: Path) -> None:
    calls = [{**OUTPUT[0], "call_id": f"c{number}"} for number in range(20)]
    source = write_lines(tmp_path / "rollouts.jsonl", rollout([*calls, {**OUTPUT[2], "call_id": "c19"}]))
    turns = pe.read(source).turns
    assert turns["tool_calls"].list.len().to_list() == [20]
    assert turns.select("tool_result_count", "orphan_results").rows() == [(1, 0)]


def test_what_a_line_says_of_its_trace(tmp_path: Path) -> None:
    named: Json = {"_ng_task_index": 3, "_ng_rollout_index": 1, "agent_ref": {"name": "math"}}
    only_response = {"output": [], "model": "m", "tools": [TOOL], "incomplete_details": {"reason": "max_output_tokens"}}
    traces = pe.read(
        write_lines(
            tmp_path / "rollouts.jsonl",
            rollout(**named),
            rollout(),
            rollout(None, reward=None),
            rollout(response=only_response, responses_create_params={"input": "Go."}, reward=float("nan")),
        )
    ).traces
    assert traces["case_id"][0] == "3"
    assert traces["case_id"][1] == traces["case_id"][2] != traces["case_id"][3]
    assert traces.select("run", "eval_set_id").rows()[:2] == [("1", "math"), (None, None)]
    assert traces["score"].to_list() == [1.0, 1.0, None, None]
    assert traces["stop_reason"].to_list() == [None, None, None, "length"]
    assert traces["turns"].to_list() == [2, 2, 0, 0]
    assert [json.loads(tools[0])["function"]["name"] for tools in traces["tools"]] == ["look"] * 4
    assert traces["dropped"].to_list()[3] == [{"kind": "scores that are no number", "count": 1}]


def test_what_was_said_before_the_run_is_context(tmp_path: Path) -> None:
    asked: list[Json] = [{"role": "user", "content": "Go."}, OUTPUT[3], OUTPUT[0], OUTPUT[2], *OUTPUT[1:2]]
    turns = pe.read(write_lines(tmp_path / "rollouts.jsonl", rollout(responses_create_params={"input": asked}))).turns
    assert turns["context"].to_list() == [True, True, False, False]
    assert turns["reasoning"].to_list() == [None, "Hm.", "Hm.", None]
    assert turns["tool_result_count"].to_list() == [1, 0, 1, 0]


def test_of_transitions_the_last_has_all_items(tmp_path: Path) -> None:
    """So `aviary_agent` of NeMo Gym writes its steps; the request's input is empty then."""
    asked: Json = {"role": "user", "content": "Go.", "type": "message"}
    empty: Json = {"input": []}
    first, again = [asked, *OUTPUT[:3]], [asked, *OUTPUT]
    changed = [asked, OUTPUT[3]]
    source = write_lines(
        tmp_path / "rollouts.jsonl",
        rollout([first, again], responses_create_params=empty),  # type: ignore[list-item]
        rollout([first, changed], responses_create_params=empty),  # type: ignore[list-item]
    )
    tables = pe.read(source)
    assert tables.traces["turns"].to_list() == [2, 1]
    assert tables.turns["context"].to_list() == [False] * 3
    assert tables.traces["dropped"].to_list() == [[], [{"kind": "items of earlier transitions", "count": 3}]]


def test_a_task_without_an_index_is_named_by_what_was_asked(tmp_path: Path) -> None:
    empty: Json = {"responses_create_params": {"input": []}}
    asked = [{"role": "user", "content": "Go.", "type": "message"}, *OUTPUT]
    other = [{"role": "user", "content": "Stop.", "type": "message"}, *OUTPUT]
    lines = [rollout(asked, **empty), rollout(asked[:-1], **empty), rollout(other, **empty)]
    nothing = [rollout(**empty), rollout(**empty)]
    cases = pe.read(write_lines(tmp_path / "rollouts.jsonl", *lines, *nothing)).traces["case_id"].to_list()
    assert cases[0] == cases[1]
    assert len(set(cases)) == 4


def test_a_failed_rollout_is_unscored(tmp_path: Path) -> None:
    """A judge that fails leaves a reward of 0.0 (`nemo_gym/judge.py`), in the file of failures."""
    failed: Json = {"_ng_failure_class": "judge_failed", "reward": 0.0}
    trace = pe.read(write_lines(tmp_path / "rollouts_failures.jsonl", rollout(**failed))).traces.row(0, named=True)
    assert (trace["score"], trace["error"]) == (None, "judge_failed")


def test_tools_that_are_no_functions_are_counted(tmp_path: Path) -> None:
    request = {"input": "Go.", "tools": [TOOL, {"type": "web_search"}]}
    trace = pe.read(write_lines(tmp_path / "rollouts.jsonl", rollout(responses_create_params=request))).traces.row(
        0, named=True
    )
    assert len(trace["tools"]) == 1
    assert trace["dropped"] == [{"kind": "tools that the provider runs", "count": 1}]


def test_a_think_tag_without_its_other_half_stays_in_the_text(tmp_path: Path) -> None:
    texts = ["Hm.</think>Done.", "<think>Hm."]
    said = [{"role": "assistant", "content": [{"type": "output_text", "text": text}]} for text in texts]
    assert [message["content"] for message in messages(tmp_path, rollout(said))[0][2:]] == texts


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (rollout(responses_create_params={"input": 3}), r"\$\.responses_create_params\.input: expected a string or an"),
        (rollout([3]), r"\$\.response\.output\[0\]: expected an object"),  # type: ignore[list-item]
        (rollout(reward="high"), r"\$\.reward: expected a number or null"),
    ],
)
def test_what_is_no_rollout_is_named(line: Json, problem: str, tmp_path: Path) -> None:
    with pytest.raises(pe.BadRecordError, match=r"rollouts\.jsonl:2: " + problem):
        pe.read(write_lines(tmp_path / "rollouts.jsonl", rollout(), line))


def test_tasks_that_nobody_ran_are_no_traces(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "tasks.jsonl", {"responses_create_params": {"input": "Go."}})
    with pytest.raises(pe.SourceError, match="tasks of NeMo Gym hold no traces"):
        pe.read(source)
    assert dialects()["nemo-gym"].matches_keys({"messages", "reward"}) is None


VALID = ("rollouts.jsonl", "".join(json.dumps(line) + "\n" for line in (rollout(), rollout(_ng_task_index=1))).encode())


@pytest.mark.parametrize("name", ["bird_sql", "calendar", "workplace_assistant"])
def test_real_rollouts_have_all_messages_calls_and_results(name: str) -> None:
    source = real_file(f"nemo_gym/{name}.jsonl")
    lines = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    items = [
        item for line in lines for item in (*line["responses_create_params"]["input"], *line["response"]["output"])
    ]
    tables = pe.read(source)

    def count(kind: str, *roles: str) -> int:
        return sum(item.get("type") == kind and (not roles or item["role"] in roles) for item in items)

    assert int(tables.traces["system_messages"].sum()) == count("message", "system", "developer")
    assert int(tables.traces["user_messages"].sum()) == count("message", "user")
    assert int(tables.turns["tool_calls"].list.len().sum()) == count("function_call")
    assert int(tables.turns["tool_results"].list.len().sum()) == count("function_call_output")
    texts = [part["text"] for item in items if item.get("role") == "assistant" for part in _parts(item["content"])]
    assert "".join(tables.turns["text"]) == "".join(texts)
    thoughts = [part["text"] for item in items if item.get("type") == "reasoning" for part in item["summary"]]
    assert "".join(tables.turns["reasoning"].drop_nulls()) == "".join(thoughts)


def _parts(content: str | list[Json]) -> list[Json]:
    return [{"text": content}] if isinstance(content, str) else content
