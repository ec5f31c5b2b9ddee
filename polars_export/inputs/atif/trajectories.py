"""Trajectories to traces: the parts of one that was continued are one trace."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from polars_export.inputs.atif.names import continuations
from polars_export.inputs.atif.records import Trajectory
from polars_export.inputs.atif.steps import message_keys, read_step
from polars_export.inputs.atif.trials import read_file, trial_of
from polars_export.inputs.record_decoder import RecordParser
from polars_export.json_values import describe_value
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.records import Trace
from polars_export.messages.tool_schemas import tool_schemas

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from polars_export.inputs.atif.records import Step
    from polars_export.inputs.atif.steps import StepMessages
    from polars_export.inputs.record_decoder import RecordPlace
    from polars_export.messages.records import Message

__all__ = ["VERSION", "subagent_files", "understand"]

VERSION = "ATIF-v1."
"""How the version of every trajectory that is read begins."""

_parse = RecordParser(Trajectory)
_OF_TURNS = {"image_blocks": "images", "unknown_blocks": "parts of other kinds"}
"""What `turns` counts, as a trace without turns counts it."""


class _Conversation:
    """Gathers the messages of a trajectory and its continuations."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.context: set[int] = set()
        self.dropped: list[tuple[int, str]] = []
        self.kinds: Counter[str] = Counter()
        self._are_there: Counter[Hashable] = Counter()

    def add_part(self, steps: list[Step], path: str, *, continues: bool) -> None:
        """Add the steps of a part. Of one that continues another, copied messages that are there already are dropped.

        Versions before 1.5 do not say what is copied: there it is what a continuation begins with and is there already.
        """
        self._are_there = Counter(message_keys(self.messages, path)) if continues else Counter()
        is_beginning = not any(step.is_copied_context for step in steps)
        for index, step in enumerate(steps):
            at = f"{path}.steps[{index}]"
            said = read_step(step, at)
            is_copied = step.is_copied_context is True or is_beginning
            if continues and is_copied and said.messages and self._is_there(said.messages[0], at):
                self.kinds["copied messages"] += len(said.messages)
                continue
            is_beginning = False
            self._add(said)

    def _is_there(self, message: Message, path: str) -> bool:
        (key,) = message_keys([message], path)
        if not self._are_there[key]:
            return False
        self._are_there[key] -= 1
        return True

    def _add(self, said: StepMessages) -> None:
        first = len(self.messages)
        if said.is_context:
            self.context.add(first)
        self.dropped += [(first + index, column) for index, column in said.dropped]
        self.kinds.update(said.kinds)
        self.messages += said.messages

    def count_without_turns(self) -> None:
        """Count for a trace without turns what else its turns would."""
        if any(message.role == "assistant" for message in self.messages):
            return
        self.kinds.update(_OF_TURNS[column] for _, column in self.dropped)
        self.dropped = []
        if results := sum(message.role == "tool" for message in self.messages):
            self.kinds["results of no call"] += results


def understand(trajectory: Trajectory, place: RecordPlace) -> Trace:
    """Return the trace of a trajectory, with its continuations and what its trial says of it.

    Raises:
        InvalidRecordError: It, or a file beside it that belongs to it, is not what it should be.
    """
    later = continuations(place.source) if place.path == "$" else []
    parts = [(trajectory, place.path), *_read_parts(later)]
    conversation = _Conversation()
    for number, (part, path) in enumerate(parts):
        _check_version(part, path)
        conversation.add_part(part.steps, path, continues=number > 0)
        _count_embedded(part, conversation.kinds)
    conversation.count_without_turns()
    trial = trial_of(place.source)
    conversation.kinds.update(trial.dropped)
    if parts[-1][0].continued_trajectory_ref is not None:
        conversation.kinds["continuations that are not there"] += 1
    return Trace(
        case_id=place.name if trial.case_id is None else trial.case_id,
        messages=conversation.messages,
        metrics=trial.metrics,
        eval_set_id=trial.eval_set_id,
        run=trial.run,
        model_id=trial.model_id or _model(parts),
        tools=_tools(parts),
        error=trial.error,
        context=conversation.context,
        dropped=conversation.dropped,
        dropped_kinds=dict(conversation.kinds),
    )


def _read_parts(paths: list[str]) -> Iterator[tuple[Trajectory, str]]:
    """Yield the later parts of a trajectory, each with its path in messages."""
    for path in paths:
        if (data := read_file(path)) is not None:
            yield _parse(data, f"{path}: $"), f"{path}: $"


def _check_version(trajectory: Trajectory, path: str) -> None:
    version = trajectory.schema_version
    if not version.startswith(VERSION):
        raise InvalidRecordError(f"{path}.schema_version", f"{VERSION}0 to {VERSION}8", describe_value(version))


def _count_embedded(trajectory: Trajectory, kinds: Counter[str]) -> None:
    """Count the trajectories of subagents inside that of their parent which no result names."""
    embedded = trajectory.subagent_trajectories
    if embedded:
        named = {str(ref.get("trajectory_id")) for ref in _references(trajectory)}
        if unnamed := sum(str(subagent.trajectory_id) not in named for subagent in embedded):
            kinds["subagents"] += unnamed


def _references(trajectory: Trajectory) -> Iterator[dict[str, object]]:
    for step in trajectory.steps:
        for result in (step.observation.results if step.observation else None) or ():
            yield from result.subagent_trajectory_ref or ()


def subagent_files(path: str) -> set[str]:
    """Return the names of the files that a trajectory, or a continuation of it, names as those of its subagents.

    Raises:
        InvalidRecordError: It is not what it should be.
    """
    parts = _read_parts([path, *continuations(path)])
    named = [ref.get("trajectory_path") for part, _ in parts for ref in _references(part)]
    return {name.replace("\\", "/").rpartition("/")[2] for name in named if isinstance(name, str)}


def _model(parts: list[tuple[Trajectory, str]]) -> str | None:
    """Return the model of the agent, else that of the first step that names one."""
    of_agents = (part.agent.model_name for part, _ in parts)
    of_steps = (step.model_name for part, _ in parts for step in part.steps if not step.is_copied_context)
    return next((name for names in (of_agents, of_steps) for name in names if name), None)


def _tools(parts: list[tuple[Trajectory, str]]) -> list[str] | None:
    for part, path in parts:
        if part.agent.tool_definitions is not None:
            return tool_schemas(part.agent.tool_definitions, f"{path}.agent.tool_definitions")
    return None
