"""Trajectories of mini-swe-agent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.inputs.registry import dialects
from tests.inputs.test_swe_agent import CALL, records, write

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]
MINI: Json = {
    "info": {"config": {"model": {"model_name": "gpt"}}, "model_stats": {}, "exit_status": "Submitted"},
    "messages": [
        {"role": "system", "content": "You help."},
        {"role": "user", "content": "Fix it."},
        {"role": "assistant", "content": "THOUGHT: I look.", "extra": {"response": {}}},
        {"role": "user", "content": "<returncode>0</returncode>"},
        {"role": "assistant", "content": "Done."},
        {"role": "exit", "content": "diff", "extra": {}},
    ],
    "trajectory_format": "mini-swe-agent-1.1",
}


@pytest.mark.parametrize("says_format", [True, False])
def test_a_trajectory_of_mini_swe_agent(says_format: bool, tmp_path: Path) -> None:  # noqa: FBT001
    value = {key: MINI[key] for key in MINI if says_format or key != "trajectory_format"}
    (record,) = records(write(tmp_path / "repo__3.traj.json", value))
    kept = [{key: message[key] for key in ("role", "content")} for message in MINI["messages"][:5]]
    assert record["messages"] == kept
    assert record["metadata"] | {"case_id": "repo__3", "model_id": "gpt", "turns": 2} == record["metadata"]
    (trace,) = pe.read(tmp_path / "repo__3.traj.json").traces.select("input", "error", "dropped").rows()
    assert trace == ("mini-swe-agent", None, [{"kind": "notes at the end of a run", "count": 1}])


def test_calls_and_items_of_responses_in_mini_swe_agent(tmp_path: Path) -> None:
    item = {"type": "function_call", "call_id": "c2", "name": "bash", "arguments": '{"command": "pwd"}'}
    messages = [
        {"role": "user", "content": "Fix it."},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "a.py", "tool_call_id": "c1"},
        {"object": "response", "output": [item], "extra": {}},
        {"type": "function_call_output", "call_id": "c2", "output": "/"},
        {"role": "assistant", "content": "Done."},
    ]
    value = MINI | {"messages": messages, "instance_id": "repo__4"}
    tables = pe.read(write(tmp_path / "x.json", value))
    assert tables.traces["case_id"].to_list() == ["repo__4"]
    assert tables.turns["tool_results"].list.len().to_list() == [1, 1, 0]


VALID = ("x.json", json.dumps(MINI).encode())


def test_other_kinds_are_not_taken() -> None:
    assert dialects()["mini-swe-agent"].matches_keys({"messages", "info"}) is None
