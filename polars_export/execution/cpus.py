"""How many processors this process may use: of those that it may run on, as many as its cgroups' quotas pay for."""

from __future__ import annotations

import math
import os
import re
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["available_cpus", "cgroup_quota"]

_PROC = Path("/proc/self")
_NO_QUOTA = (OSError, ValueError, ZeroDivisionError)  # no such file, or not what the kernel writes there


def available_cpus() -> int:
    """Return how many processors this process may use, at least 1; part of one counts as one, as in joblib's loky."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, cgroup_quota())))


def cgroup_quota(proc: Path = _PROC) -> float:
    """Return how many processors the cgroups of a process pay for; infinite where none of them has a quota.

    Every cgroup from that of the process up to the root has a say; a container may see only a part of that tree.

    Args:
        proc: The process's directory in `/proc`.
    """
    try:
        return min(map(_quota_of, _cgroups(proc)), default=math.inf)
    except (OSError, ValueError, LookupError):  # not Linux, or not as its manual has it
        return math.inf


def _cgroups(proc: Path) -> Iterator[Path]:
    """Yield the directories of the cgroups that a process belongs to and that may have a quota."""
    memberships = os.fsdecode((proc / "cgroup").read_bytes()).splitlines()
    mounts = os.fsdecode((proc / "mountinfo").read_bytes()).splitlines()
    path_of: dict[str, str] = {}
    for line in memberships:  # `0::/path` is version 2, `4:cpu,cpuacct:/path` version 1 (man 7 cgroups)
        _, controllers, path = line.split(":", 2)
        path_of |= dict.fromkeys(controllers.split(","), path)
    for line in mounts:  # `36 35 98:0 ROOT MOUNT_POINT … - FILE_SYSTEM SOURCE OPTIONS` (man 5 proc)
        before, _, after = line.partition(" - ")
        root, mount_point = map(_unescape, before.split(" ")[3:5])
        file_system, _, options = after.split(" ", 2)
        version_1 = file_system == "cgroup" and "cpu" in options.split(",")
        if version_1 or file_system == "cgroup2":
            yield from _from_leaf_to_root(Path(mount_point), path_of["cpu" if version_1 else ""], root)


def _from_leaf_to_root(mount_point: Path, path: str, root: str) -> Iterator[Path]:
    """Yield the directories of a cgroup and of those around it, up to the one that is mounted, `root`."""
    inside = PurePosixPath(path)
    if ".." not in inside.parts and inside.is_relative_to(root):  # else the process is in none of those mounted
        below = mount_point / inside.relative_to(root)
        while below != mount_point:
            yield below
            below = below.parent
    yield mount_point


def _quota_of(group: Path) -> float:
    """Return how many processors a single cgroup pays for; infinite where it has no quota, or none can be read."""
    with suppress(*_NO_QUOTA):
        quota, period = (group / "cpu.max").read_text(encoding="ascii").split()  # version 2: `max 100000` for none
        return math.inf if quota == "max" else int(quota) / int(period)
    with suppress(*_NO_QUOTA):
        quota = (group / "cpu.cfs_quota_us").read_text(encoding="ascii")  # version 1: -1 for none
        period = (group / "cpu.cfs_period_us").read_text(encoding="ascii")
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    return math.inf


def _unescape(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
