"""A real file of every kind of input."""

from __future__ import annotations

__all__ = ["KINDS"]

KINDS = {
    "message-rows": "tau_bench/gpt-4o-airline.part.json",
    "inspect": "inspect/security-guide.eval",
    "inspect-json": "inspect/browser.json",
    "atif": "atif/openhands_hello-world.trajectory.json",
    "tau2": "tau2/airline.part.json",
    "tau2-telecom": "tau2/telecom.part.json",
    "nemo-gym": "nemo_gym/workplace_assistant.jsonl",
    "nemo-gym-reasoning": "nemo_gym/calendar.jsonl",
    "swe-agent": "swe_smith/pydantic__pydantic.acb0f10f.pr_8316.traj",
    "openhands": "openhands/output.jsonl",
}
