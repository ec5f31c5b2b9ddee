"""The names of trajectories, and which files belong to them."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from polars_export.sources.side_file import file_names, is_file, is_folder, path_in

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

__all__ = ["AGENT", "RESULT", "STEPS", "belongs_to_trial", "continuations", "first_part", "is_first", "is_part"]

AGENT, RESULT, STEPS = "agent", "result.json", "steps"
"""Names in the folder of a trial."""

_CODECS = ("", ".gz", ".zst")
_FIRST = re.compile(r"(?P<stem>.*trajectory)\.json(?:\.gz|\.zst)?", re.DOTALL)
_PART = re.compile(r"(?P<stem>.*trajectory)\.cont-(?P<number>\d+)\.json(?:\.gz|\.zst)?", re.DOTALL)
_OTHER = re.compile(r"(?P<stem>.*trajectory)\..+\.json(?:\.gz|\.zst)?", re.DOTALL)
_MAIN = tuple(f"trajectory.json{codec}" for codec in _CODECS)

_OF_TRIALS = frozenset({RESULT, "config.json", "lock.json"})
_FOLDERS = (AGENT, "user-agent", "verifier", "artifacts")
_JOB_KEYS = {
    RESULT: frozenset({"n_total_trials", "stats"}),
    "config.json": frozenset({"job_name", "jobs_dir"}),
    "lock.json": frozenset({"trials", "n_concurrent_trials"}),
}
"""What tells the files of a job from others of these names."""


def is_first(path: str) -> bool:
    """Return whether a file is called as the first part of a trajectory."""
    return _FIRST.fullmatch(os.path.split(path)[1]) is not None


def is_part(path: str) -> bool:
    """Return whether a file is called as a later part of a trajectory."""
    return _PART.fullmatch(os.path.split(path)[1]) is not None


def first_part(path: str, *, also_of_others: bool = False) -> str | None:
    """Return the first part of the trajectory of which a file, by its name, is a later one; None if that is not there.

    Args:
        path: The file.
        also_of_others: Whether it may be called as that of a subagent.
    """
    folder, name = os.path.split(path)
    match = (_OTHER if also_of_others else _PART).fullmatch(name)
    if match is None:
        return None
    firsts = (path_in(folder, f"{match['stem']}.json{codec}") for codec in _CODECS)
    return next((first for first in firsts if is_file(first)), None)


def continuations(path: str) -> list[tuple[int, str]]:
    """Return the later parts of the trajectory of which a file is the first, with their numbers, in order.

    Raises:
        SourceError: The folder cannot be read.
    """
    folder, name = os.path.split(path)
    first = _FIRST.fullmatch(name)
    if first is None:
        return []
    matches = [match for other in file_names(folder) if (match := _PART.fullmatch(other))]
    found = {int(match["number"]): match[0] for match in reversed(matches) if match["stem"] == first["stem"]}
    return [(number, path_in(folder, found[number])) for number in sorted(found)]


def belongs_to_trial(path: str, keys: AbstractSet[str]) -> bool:
    """Return whether a file is one of a job or a trial of which the trajectory is another.

    Those of a trial are its results, configuration and locks, what its verifier wrote, its artifacts, and the logs of
    its agent, which its trajectory was made of.
    """
    folder, name = os.path.split(path)
    if name in _OF_TRIALS:
        if _has_trajectory(folder):
            return True
        if _JOB_KEYS[name] <= {key for key in _JOB_KEYS[name] if key in keys}:
            return True
    if name in _MAIN and os.path.split(folder)[1] == AGENT:
        return False
    while folder:
        above, last = os.path.split(folder)
        if above == folder:
            return False
        if last in _FOLDERS and _is_trial(above) and _has_trajectory(above):
            return True
        folder = above
    return False


def _has_trajectory(trial: str) -> bool:
    """Return whether a folder, if it is that of a trial, holds trajectories: one, or one for each of its steps."""
    return any(is_file(path_in(trial, AGENT, name)) for name in _MAIN) or is_folder(path_in(trial, STEPS))


def _is_trial(folder: str) -> bool:
    """Return whether a folder is that of a trial, or of a step of one."""
    above, _ = os.path.split(folder)
    trial, steps = os.path.split(above)
    trials = [folder, trial] if steps == STEPS else [folder]
    return any(is_file(path_in(of, name)) for of in trials for name in _OF_TRIALS)
