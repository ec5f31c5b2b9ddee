"""Build ATIF trajectories and the folders of Harbor jobs, and understand them in a plain way of their own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import polars_export as pe

Json = dict[str, Any]

VERSIONS = [f"ATIF-v1.{minor}" for minor in range(9)]
TOOL: Json = {"type": "function", "function": {"name": "run", "parameters": {"type": "object", "properties": {}}}}
AGENT: Json = {"name": "tester", "version": "1", "model_name": "maker/model"}

REAL = Path(os.environ.get("POLARS_EXPORT_INPUTS", "")) / "atif"
real_files = pytest.mark.skipif(
    not os.environ.get("POLARS_EXPORT_INPUTS"), reason="POLARS_EXPORT_INPUTS names no folder with real files"
)


def call(name: str = "run", call_id: str = "c1", **arguments: object) -> Json:
    return {"tool_call_id": call_id, "function_name": name, "arguments": arguments}


def result(content: object = "done", call_id: str | None = None, **fields: object) -> Json:
    named = {} if call_id is None else {"source_call_id": call_id}
    return {**named, "content": content, **fields}


def step(source: str, message: object, *results: Json, calls: list[Json] | None = None, **fields: object) -> Json:
    made: Json = {"source": source, "message": message, **fields}
    if calls:
        made["tool_calls"] = calls
    if results:
        made["observation"] = {"results": list(results)}
    return made


def note(*subagents: str) -> Json:
    references = [{"session_id": "s", "trajectory_path": path} for path in subagents]
    return step("system", "Performed context summarization.", {"subagent_trajectory_ref": references})


def trajectory(*steps: Json, version: str = "ATIF-v1.8", **fields: object) -> Json:
    numbered = [{"step_id": number, **of} for number, of in enumerate(steps, 1)]
    return {"schema_version": version, "session_id": "s", "agent": AGENT, "steps": numbered, **fields}


def asked(*steps: Json, **fields: object) -> Json:
    """Return a trajectory in which a user asks and the agent, unless other steps are given, answers."""
    return trajectory(step("user", "Do it."), *(steps or [step("agent", "Done.")]), **fields)  # type: ignore[arg-type]


def write(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")
    return path


def trial(job: Path, name: str = "task-a__1", /, made: Json | None = None, **fields: object) -> Path:
    """Write the folder of a trial, with what Harbor writes beside the trajectory."""
    folder = job / name
    write(folder / "agent/trajectory.json", made or asked())
    outcome = {
        "task_name": name.partition("__")[0],
        "trial_name": name,
        "source": "bench",
        "agent_info": {"name": "tester", "version": "1", "model_info": {"name": "model", "provider": "maker"}},
        "verifier_result": {"rewards": {"reward": 1.0}},
        "exception_info": None,
        **fields,
    }
    write(folder / "result.json", outcome)
    write(folder / "config.json", {"task": {"path": "tasks/a"}, "trial_name": name})
    write(folder / "lock.json", {"schema_version": 2, "task": {}, "agent": {}, "environment": {}, "verifier": {}})
    write(folder / "verifier/ctrf.json", {"results": {"tests": []}})
    write(folder / "artifacts/manifest.json", [{"role": "user", "content": "no trace"}])
    (folder / "agent/session.jsonl").write_text('{"messages": [{"role": "user", "content": "a log"}]}\n')
    return folder


def job(folder: Path) -> Path:
    """Write what Harbor writes beside the trials of a job."""
    write(folder / "result.json", {"id": "1", "n_total_trials": 2, "stats": {}})
    write(folder / "config.json", {"job_name": folder.name, "jobs_dir": "jobs", "n_attempts": 1})
    write(folder / "lock.json", {"schema_version": 3, "trials": [], "n_concurrent_trials": 1})
    return folder


def plain_messages(trace: Json) -> list[Json]:
    """Return what a trajectory says, as a simple reader of one that was not continued understands it."""
    found: list[Json] = []
    for of in trace["steps"]:
        if of["source"] != "agent":
            found.append({"role": of["source"], "text": plain_text(of["message"])})
        else:
            calls = [(made["function_name"], made["arguments"]) for made in of.get("tool_calls") or []]
            found.append({"role": "assistant", "text": plain_text(of["message"]), "calls": calls})
        for said in (of.get("observation") or {}).get("results", []):
            role = "tool" if said.get("source_call_id") else "user"
            if said.get("content") is not None:
                found.append({"role": role, "text": plain_text(said["content"])})
    return found


def plain_text(content: object) -> str:
    parts: list[Json] = content if isinstance(content, list) else [{"text": content}]
    return "".join(part.get("text") or "" for part in parts)


def read_messages(tables: pe.Tables) -> list[list[Json]]:
    """Return the messages of traces as the tables have them, in order."""
    found: list[list[Json]] = []
    for trace in tables.traces.to_dicts():
        messages: list[Json] = []
        for turn in tables.turns.filter(tables.turns["trace"] == trace["trace"]).to_dicts():
            messages += [{"role": of["role"], "text": of["content"]} for of in turn["preceding"]]
            calls = [(made["name"], json.loads(made["arguments"])) for made in turn["tool_calls"]]
            messages.append({"role": "assistant", "text": turn["text"], "calls": calls})
            messages += [{"role": "tool", "text": of["text"]} for of in turn["tool_results"]]
        messages += [{"role": of["role"], "text": of["content"]} for of in trace["closing"]]
        found.append(messages)
    return found


def dropped(tables: pe.Tables, trace: int = 0) -> dict[str, int]:
    return {of["kind"]: of["count"] for of in tables.traces["dropped"][trace].to_list()}
