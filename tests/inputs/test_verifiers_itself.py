"""Verifiers itself, where it is installed: it writes random episodes, and says what their branches are."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import polars_export as pe

if TYPE_CHECKING:
    from pathlib import Path

vf = pytest.importorskip("verifiers.v1", reason="verifiers is not installed")
graph = pytest.importorskip("verifiers.v1.graph")
output = pytest.importorskip("verifiers.v1.utils.trace_store")


def run(draw: random.Random, number: int) -> Any:  # noqa: ANN401 - a trace of verifiers
    """Return a trace of verifiers whose conversation goes on, is answered again, or is compacted, at random."""
    task = vf.TraceTask(type="Task", data=vf.TaskData(idx=0, prompt="x"), key="t")
    trace = vf.Trace(agent=vf.AgentInfo(config=vf.AgentConfig()), task=task)
    prompt: list[Any] = [vf.SystemMessage(content="Be kind."), vf.UserMessage(content="Go.")]
    for turn in range(draw.randrange(1, 9)):
        call = vf.ToolCall(id=f"c{turn}", name="look", arguments='{"at": 1}')
        said = vf.AssistantMessage(content=f"{number}/{turn}", reasoning_content="Hm.", tool_calls=[call])
        graph.prepare_turn(trace, prompt).commit(
            vf.Response(id="r", created=0, model="m", message=said, finish_reason="tool_calls")
        )
        match draw.randrange(5):
            case 0:  # the same prompt is answered again
                continue
            case 1:
                prompt = [*prompt[:1], vf.UserMessage(content=f"Summary {turn}."), said]
            case _:
                prompt = [*prompt, said]
        prompt.append(vf.ToolMessage(tool_call_id=call.id, content=f"seen {turn}"))
    trace.record_reward("solved", draw.random(), weight=2.0)
    trace.ok = True
    return trace


def spoken(messages: Any) -> list[str]:  # noqa: ANN401 - messages of verifiers
    return [message.content for message in messages if message.role == "assistant"]


@pytest.mark.parametrize("seed", range(40))
def test_the_traces_are_the_branches(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    runs = [run(draw, number) for number in range(3)]
    for one in runs:
        output.write_episode(tmp_path, vf.Episode(task=one.task, traces=[one], ok=True))
    tables = pe.read(tmp_path / "traces.jsonl")
    texts = tables.turns.group_by("trace", maintain_order=True).agg("text")["text"].to_list()
    branches = [spoken(branch.messages) for one in runs for branch in one.branches]
    kept = iter(branches)
    assert all(text in kept for text in texts)  # some of the branches, in their order
    assert [spoken(one.messages) in texts for one in runs] == [True] * 3
    learned = Counter(tables.turns.filter(~pl.col("context"))["text"])
    assert set(learned.values()) == {1}
    sampled = sum(one.num_turns for one in runs)
    dropped = tables.traces["dropped"].explode().drop_nulls()
    assert learned.total() + (int(dropped.struct.field("count").sum()) if len(dropped) else 0) == sampled
    scores = dict(zip(tables.traces["run"].str.split("/").list.first(), tables.traces["score"], strict=True))
    assert scores == pytest.approx({one.id: one.reward for one in runs})
