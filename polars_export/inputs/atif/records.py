"""Trajectories and results of trials as Harbor writes them, with the fields that are read; all others are skipped."""

# msgspec reads the annotations when the classes are made
from typing import Any

from msgspec import Raw, Struct

__all__ = ["Call", "Metrics", "Observation", "Result", "Step", "Trajectory", "TrialResult"]


class _Part(Struct, gc=False):
    pass


class Call(_Part):
    """A tool call."""

    function_name: str
    arguments: Any = None
    tool_call_id: Any = None


class Result(_Part):
    """What one call, or an environment, said."""

    source_call_id: str | None = None
    content: Any = None
    subagent_trajectory_ref: list[dict[str, Any]] | None = None


class Observation(_Part):
    """What came of a step."""

    results: list[Result] | None = None


class Metrics(_Part):
    """The numbers of a step: what has no place in a conversation, and is counted."""

    prompt_token_ids: Raw = Raw()
    completion_token_ids: Raw = Raw()
    logprobs: Raw = Raw()


class StepExtra(_Part):
    """What a harness adds to a step."""

    context_management: Any = None


class Step(_Part):
    """One step, with all that came of it."""

    source: str
    message: Any = None
    model_name: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[Call] | None = None
    observation: Observation | None = None
    metrics: Metrics | None = None
    is_copied_context: bool | None = None
    llm_call_count: Any = None
    extra: StepExtra | None = None


class Agent(_Part):
    """Who acted."""

    model_name: str | None = None
    tool_definitions: Any = None


class Embedded(_Part):
    """The trajectory of a subagent, inside that of its parent."""

    trajectory_id: Any = None


class Trajectory(_Part):
    """A trajectory, or a part of one."""

    schema_version: str
    agent: Agent
    steps: list[Step]
    continued_trajectory_ref: str | None = None
    subagent_trajectories: list[Embedded] | None = None


class ModelInfo(_Part):
    """The model of a trial."""

    name: str | None = None


class AgentInfo(_Part):
    """The agent of a trial."""

    model_info: ModelInfo | None = None


class VerifierResult(_Part):
    """What the verifier of a trial said."""

    rewards: dict[str, Any] | None = None


class ExceptionInfo(_Part):
    """Why a trial crashed."""

    exception_type: str | None = None
    exception_message: str | None = None


class StepResult(_Part):
    """What came of one step of a trial that has several."""

    step_name: str
    verifier_result: VerifierResult | None = None
    exception_info: ExceptionInfo | None = None


class TrialResult(_Part):
    """What came of a trial: its `result.json`."""

    task_name: str | None = None
    trial_name: str | None = None
    source: str | None = None
    agent_info: AgentInfo | None = None
    verifier_result: VerifierResult | None = None
    exception_info: ExceptionInfo | None = None
    step_results: list[StepResult] | None = None
