"""Harbor: what its own models accept and write is read, and its own agent continues trajectories as we join them."""
# ruff: noqa: SLF001 - the agent is put into the state in which it continues a trajectory, which nothing public does

from __future__ import annotations

import importlib
import json
import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from tests.inputs.trajectories import (
    AGENT,
    REAL,
    TOOL,
    VERSIONS,
    asked,
    call,
    dropped,
    note,
    plain_messages,
    read_messages,
    real_files,
    result,
    step,
    trajectory,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Foreign
    from tests.builders import Json

pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("default")]

IMAGE: dict[str, Any] = {"type": "image", "source": {"media_type": "image/png", "path": "a.png"}}
AUDIO: dict[str, Any] = {"type": "audio", "source": {"media_type": "audio/wav", "path": "a.wav"}}


def harbor(module: str, name: str) -> Foreign:
    return getattr(importlib.import_module(f"harbor.{module}"), name)


def full_trajectory(version: str) -> Json:
    """Return a trajectory with everything that is read."""
    subagent = asked(version=version, trajectory_id="helper")
    steps = [
        step("system", "Be kind."),
        step("user", [{"type": "text", "text": "Look "}, IMAGE, AUDIO, {"type": "text", "text": "here."}]),
        step("agent", "Copied.", is_copied_context=True),
        step(
            "agent", "Looking.", result([{"type": "text", "text": "seen"}], "c1"), result("done", "c2"),
            calls=[call("look", "c1", at="sky", deep={"a": [1, None]}), call(call_id="c2")],
            reasoning_content="Hm.", metrics={"completion_token_ids": [1, 2], "logprobs": [-0.5, -0.1]},
        ),
        step("agent", "", result("dispatched", "c3"), calls=[call(call_id="c3")], llm_call_count=0),
        step("agent", "ls", result("$ ls", subagent_trajectory_ref=[{"trajectory_id": "helper"}])),
        note("trajectory.summary.json"),
        step("agent", "Done."),
    ]  # fmt: skip
    agent = {**AGENT, "tool_definitions": [TOOL]}
    return trajectory(*steps, version=version, agent=agent, subagent_trajectories=[subagent])


@pytest.mark.parametrize("version", VERSIONS)
def test_what_harbors_model_accepts_and_writes_is_read_whole(tmp_path: Path, version: str) -> None:
    model = harbor("models.trajectories", "Trajectory").model_validate(full_trajectory(version))
    write_json = harbor("utils.trajectory_utils", "format_trajectory_json")
    for name, text in {
        "harbor.json": write_json(model.to_json_dict()),
        "all.json": model.model_dump_json(),
        "lines.jsonl": model.model_dump_json() + "\n" + model.model_dump_json() + "\n",
    }.items():
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        tables = pe.read(path)
        made = json.loads(model.model_dump_json())
        kept = {**made, "steps": [of for of in made["steps"] if "summarization" not in str(of["message"])]}
        assert read_messages(tables) == [plain_messages(kept)] * len(text.splitlines() if "lines" in name else [1])
        assert dropped(tables) == {
            "lists of token ids": 1, "lists of log probabilities": 1, "subagents": 2, "notes about the context": 1
        }  # fmt: skip
        assert tables.turns["context"].to_list()[:5] == [True, False, True, False, False]
        assert [json.loads(tool) for tool in tables.traces["tools"][0]] == [TOOL]


@pytest.mark.parametrize("has_score", [True, False])
def test_a_job_folder_of_harbors_own_models_is_read(tmp_path: Path, has_score: bool) -> None:  # noqa: FBT001
    paths = harbor("models.trial.paths", "TrialPaths")(tmp_path / "job/task-a__x")
    config = harbor("models.trial.config", "TrialConfig").model_validate({"task": {"path": "tasks/task-a"}})
    crash = harbor("models.trial.result", "ExceptionInfo").from_exception(TimeoutError("too slow"))
    outcome = harbor("models.trial.result", "TrialResult").model_validate(
        {
            "task_name": "task-a",
            "trial_name": "task-a__x",
            "trial_uri": "file:///x",
            "task_id": {"path": "tasks/task-a"},
            "source": "bench",
            "task_checksum": "0",
            "config": config,
            "agent_info": {"name": "a", "version": "1", "model_info": {"name": "model", "provider": "maker"}},
            "verifier_result": {"rewards": {"tests": 1, "style": 0.5}} if has_score else None,
            "exception_info": None if has_score else crash,
        }
    )
    for path in (paths.agent_dir, paths.verifier_dir, paths.artifacts_dir):
        path.mkdir(parents=True)
    model = harbor("models.trajectories", "Trajectory").model_validate(asked())
    (paths.agent_dir / "trajectory.json").write_text(model.model_dump_json(indent=2))
    paths.result_path.write_text(outcome.model_dump_json(indent=4))
    paths.config_path.write_text(config.model_dump_json(indent=4))
    paths.artifacts_manifest_path.write_text("[]")
    job = harbor("models.job.config", "JobConfig")(job_name="job")
    (tmp_path / "job/config.json").write_text(job.model_dump_json(indent=4))
    columns = ("case_id", "eval_set_id", "run", "score", "model_id", "error")
    told = None if has_score else "TimeoutError: too slow"
    expected = ("task-a", "bench", "task-a__x", 0.75 if has_score else None, "model", told)
    assert pe.read(tmp_path).traces.select(columns).rows() == [expected]
    options = pe.ExportOptions(format="chatml", target="trl")
    assert pe.export(tmp_path / "job", tmp_path / "out.jsonl", options).skipped_files == {}


def test_a_trajectory_that_harbors_own_agent_split_is_one_conversation(tmp_path: Path) -> None:
    kind, models = harbor("agents.terminus_2.terminus_2", "Terminus2"), "models.trajectories"
    agent = kind.__new__(kind)
    config = {"linear_history": True}
    agent.options = SimpleNamespace(parser_name="json", temperature=None, llm_kwargs=None, trajectory_config=config)
    agent.logs_dir, agent.logger = tmp_path, logging.getLogger()
    agent._context = harbor("models.agent.context", "AgentContext")()
    agent._session_id, agent._model_name, agent._last_response_model_name = "s", "maker/model", None
    agent._summarization_count = 0

    def said(*steps: Json) -> list[Foreign]:
        first = len(agent._trajectory_steps)
        made = [{"step_id": number, **of} for number, of in enumerate(steps, first + 1)]
        return [harbor(models, "Step").model_validate(of) for of in made]

    agent._trajectory_steps = []
    agent._trajectory_steps = said(step("user", "Do it."), step("agent", "one", result("$ 1")))
    for number in (1, 2):
        agent._summarization_count = number
        agent._trajectory_steps += said(note("trajectory.summarization-1-summary.json"))
        asked_by = [("user", "Do it."), ("user", f"Ask about {number}.")]
        history = [*asked_by, ("assistant", f"Why {number}?"), ("user", f"Go on from {number}."), ("assistant", "")]
        agent._chat = SimpleNamespace(messages=[{"role": role, "content": text} for role, text in history])
        agent._split_trajectory_on_summarization("Go on.")
        agent._trajectory_steps += said(step("agent", f"more {number}", result(f"$ {number + 1}")))
    agent._dump_trajectory()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "trajectory.cont-1.json", "trajectory.cont-2.json", "trajectory.json"
    ]  # fmt: skip
    tables = pe.read(tmp_path)
    (messages,) = read_messages(tables)
    assert [of["text"] for of in messages] == [
        *("Do it.", "one", "$ 1"),
        *("Ask about 1.", "Why 1?", "Go on from 1.", "more 1", "$ 2"),
        *("Ask about 2.", "Why 2?", "Go on from 2.", "more 2", "$ 3"),
    ]
    assert dropped(tables) == {"subagents": 2, "notes about the context": 2, "copied messages": 2}
    assert tables.turns.filter(tables.turns["context"])["text"].to_list() == ["Why 1?", "Why 2?"]


@real_files
def test_the_real_files_are_what_harbors_model_accepts() -> None:
    for path in sorted(REAL.glob("*.json")):
        harbor("models.trajectories", "Trajectory").model_validate_json(path.read_bytes())
