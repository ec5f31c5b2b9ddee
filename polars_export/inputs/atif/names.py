"""The names of trajectories, and which files belong to them."""

from __future__ import annotations

import os
import re
from itertools import count, takewhile
from typing import TYPE_CHECKING

from polars_export.sources.side_file import absolute, is_file, is_folder, path_in

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

__all__ = [
    "AGENT",
    "RESULT",
    "STEPS",
    "belongs_to_trial",
    "continuations",
    "first_part",
    "is_first",
    "is_part",
    "parent_of",
]

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


def first_part(path: str) -> str | None:
    """Return the first part of the trajectory of which a file, by its name, is a later one.

    None if it is none, or if a part between the two is missing.
    """
    folder, name = os.path.split(path)
    match = _PART.fullmatch(name)
    first = _file_of(folder, match["stem"]) if match else None
    return first if first and path in continuations(first) else None


def parent_of(path: str) -> str | None:
    """Return the trajectory of which a file, by its name, may be that of a subagent; None if there is none."""
    folder, name = os.path.split(path)
    match = _OTHER.fullmatch(name)
    return _file_of(folder, match["stem"]) if match else None


def continuations(path: str) -> list[str]:
    """Return the later parts of the trajectory of which a file is the first, in order, up to the first that is missing.

    They are asked for one by one: a folder may hold many trajectories.
    """
    folder, name = os.path.split(path)
    first = _FIRST.fullmatch(name)
    parts = (_file_of(folder, f"{first['stem']}.cont-{number}") for number in count(1)) if first else ()
    return [part for part in takewhile(lambda part: part is not None, parts) if part]


def _file_of(folder: str, stem: str) -> str | None:
    """Return the JSON file of a name, plain or compressed."""
    paths = (path_in(folder, f"{stem}.json{codec}") for codec in _CODECS)
    return next((path for path in paths if is_file(path)), None)


def belongs_to_trial(path: str, keys: AbstractSet[str]) -> bool:
    """Return whether a file is one of a job or a trial of which the trajectory is another.

    Those of a trial are its results, configuration and locks, what its verifier wrote, its artifacts, and the logs of
    its agent, which its trajectory was made of.
    """
    folder, name = os.path.split(absolute(path))
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
