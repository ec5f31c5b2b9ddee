"""What stands beside a trajectory in the folder of a Harbor trial: its task, its name, and how it went."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from polars_export.errors import SourceError
from polars_export.inputs.atif.names import AGENT, RESULT, STEPS, is_first, is_part
from polars_export.inputs.atif.records import TrialResult
from polars_export.inputs.record_decoder import RecordParser, parse_lenient
from polars_export.json_values import describe_value
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.sources.side_file import absolute, path_in, read_side_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polars_export.inputs.atif.records import ExceptionInfo, StepResult
    from polars_export.json_values import Json

__all__ = ["Trial", "read_file", "trial_of"]

_NO_NUMBERS = "scores that are no number"


class Trial(NamedTuple):
    """A trial, as far as its folder says.

    Attributes:
        case_id: Its task; None if it is not known.
        eval_set_id: The dataset of the task.
        run: Its name.
        metrics: Its rewards.
        model_id: The model of its agent.
        error: Why it crashed.
        dropped: What has no place.
    """

    case_id: str | None = None
    eval_set_id: str | None = None
    run: str | None = None
    metrics: list[tuple[str, float]] = []  # noqa: RUF012 - nobody changes it
    model_id: str | None = None
    error: str | None = None
    dropped: Mapping[str, int] = {}


_parse_result = RecordParser(TrialResult)


def trial_of(path: str) -> Trial:
    """Return the trial of a trajectory, whose folder is named by that of the trajectory; without one, nothing is known.

    Of a trial of several steps each has a trajectory of its own: its case is the task and the step.

    Raises:
        InvalidRecordError: A file beside the trajectory cannot be read, or is damaged.
    """
    folder, name = os.path.split(absolute(path))
    folder, last = os.path.split(folder)
    if last != AGENT:
        return Trial()
    above, step = os.path.split(folder)
    trial_folder, steps = os.path.split(above)
    result_path = path_in(folder, RESULT)
    data = read_file(result_path)
    if data is None and steps == STEPS:
        result_path = path_in(trial_folder, RESULT)
        data = read_file(result_path)
    else:
        step = ""
    result = TrialResult() if data is None else _parse_result(data, f"{result_path}: $")
    if result.task_name is None or result.trial_name is None:
        result, step = TrialResult(), ""  # of something else
    of_step = next((found for found in result.step_results or () if found.step_name == step), None) if step else None
    model = result.agent_info.model_info if result.agent_info else None
    trial = Trial(
        case_id=f"{result.task_name}/{step}" if step else result.task_name,
        eval_set_id=result.source,
        run=result.trial_name,
        model_id=model.name if model else None,
        error=_error(of_step.exception_info if of_step else None) or _error(result.exception_info),
    )
    if not (is_first(name) or is_part(name)):  # of a subagent
        run = trial.run and f"{trial.run}/{name.encode('utf-8', 'backslashreplace').decode()}"
        return trial._replace(run=run)
    metrics, dropped = _metrics(_rewards(result, result_path, of_step, step) or _verifier_file(folder))
    return trial._replace(metrics=metrics, dropped=dropped)


def read_file(path: str) -> bytes | None:
    """Return the bytes of a file beside a trajectory; None where there is none.

    Raises:
        InvalidRecordError: It cannot be read.
    """
    try:
        return read_side_file(path)
    except SourceError as error:
        raise InvalidRecordError(path, "a file that can be read", f"none ({error.problem})") from None


def _rewards(
    result: TrialResult, path: str, of_step: StepResult | None, step: str
) -> tuple[dict[str, Json], str] | None:
    """Return the rewards that a result names, with their path; None where the verifier gave none."""
    if step:
        verified, where = of_step.verifier_result if of_step else None, f"step_results[{step}].verifier_result"
    else:
        verified, where = result.verifier_result, "verifier_result"
    if verified is None or verified.rewards is None:
        return None
    return verified.rewards, f"{path}: $.{where}.rewards"


def _error(exception: ExceptionInfo | None) -> str | None:
    if exception is None:
        return None
    parts = [part for part in (exception.exception_type, exception.exception_message) if part]
    return ": ".join(parts) or "unknown"


def _metrics(given: tuple[dict[str, Json], str]) -> tuple[list[tuple[str, float]], dict[str, int]]:
    """Return the rewards that are numbers, and how many are not."""
    rewards, path = given
    found: list[tuple[str, float]] = []
    for name, value in rewards.items():
        if not isinstance(value, int | float | None):
            raise InvalidRecordError(f"{path}.{name}", "a number or null", describe_value(value))
        with suppress(OverflowError):  # an integer of more than 300 digits
            if value is not None and math.isfinite(value):
                found.append((name, float(value)))
    lost = len(rewards) - len(found)
    return found, {_NO_NUMBERS: lost} if lost else {}


def _verifier_file(folder: str) -> tuple[dict[str, Json], str]:
    path = path_in(folder, "verifier", "reward.json")
    if data := read_file(path):
        value = parse_lenient(data, f"{path}: $")
        if not isinstance(value, dict):
            raise InvalidRecordError(f"{path}: $", "an object of numbers", describe_value(value))
        return value, f"{path}: $"
    path = path_in(folder, "verifier", "reward.txt")
    if data := read_file(path):
        text = data.decode("utf-8", "replace").strip()
        try:
            return {"reward": float(text)}, path
        except ValueError:
            raise InvalidRecordError(path, "a number", describe_value(text)) from None
    return {}, path
