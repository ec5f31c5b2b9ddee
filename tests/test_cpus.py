"""No more processes are started than the affinity mask and the quotas of cgroups pay for."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import pytest

import polars_export as pe
from polars_export.execution import conductor, cpus
from polars_export.execution.cpus import available_cpus, cgroup_quota
from polars_export.sources import segments
from tests.builders import case_result, write_lines

if TYPE_CHECKING:
    from pathlib import Path

    from polars_export.execution.executor import Executor
    from polars_export.execution.tasks import Job

PERIOD = 100_000


def process(directory: Path, cgroup: str, *mounts: tuple[str, str, str]) -> Path:
    """Write what `/proc` tells of a process; a mount is what is mounted, the file system, its options."""
    proc = directory / "proc"
    proc.mkdir(exist_ok=True)
    (proc / "cgroup").write_text(cgroup, encoding="utf-8")
    lines = ["22 1 0:20 / /proc rw,nosuid - proc proc rw\n"]
    for root, file_system, options in mounts:
        point = mount_point(directory, file_system, options)
        lines.append(f"35 24 0:30 {root} {escape(point)} rw shared:9 - {file_system} cgroup rw,{options}\n")
    (proc / "mountinfo").write_text("".join(lines), encoding="utf-8")
    return proc


def mount_point(directory: Path, file_system: str, options: str) -> Path:
    return directory / "sys fs" / (options if file_system == "cgroup" else "unified")


def escape(path: Path) -> str:
    return str(path).replace(" ", r"\040")


def v2(directory: Path, group: str, quota: str, period: int = PERIOD) -> None:
    _write(mount_point(directory, "cgroup2", "nsdelegate") / group, {"cpu.max": f"{quota} {period}\n"})


def v1(directory: Path, group: str, quota: int, period: int = PERIOD) -> None:
    group_directory = mount_point(directory, "cgroup", "cpu,cpuacct") / group
    _write(group_directory, {"cpu.cfs_quota_us": f"{quota}\n", "cpu.cfs_period_us": f"{period}\n"})


def _write(directory: Path, files: dict[str, str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text, encoding="ascii")


V1, V2 = ("cgroup", "cpu,cpuacct"), ("cgroup2", "nsdelegate")
V1_PATH = "5:memory:/elsewhere\n4:cpu,cpuacct:{}\n1:name=systemd:/x\n"


def test_the_quota_of_a_container_is_that_of_the_root_it_sees(tmp_path: Path) -> None:
    proc = process(tmp_path, "0::/\n", ("/", *V2))
    v2(tmp_path, "", "150000")
    assert cgroup_quota(proc) == 1.5


@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        ({"a/b": "400000", "a": "200000"}, 2),
        ({"a/b": "100000", "a": "200000"}, 1),
        ({"a/b": "max", "a": "max"}, math.inf),
        ({"a/b": "max", "a": "300000", "": "max"}, 3),
        ({"other": "100000"}, math.inf),
    ],
)
def test_the_smallest_quota_up_to_the_root_holds(quotas: dict[str, str], expected: float, tmp_path: Path) -> None:
    proc = process(tmp_path, "0::/a/b\n", ("/", *V2))
    for group, quota in quotas.items():
        v2(tmp_path, group, quota)
    assert cgroup_quota(proc) == expected


@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        ({"a/b": 400_000, "a": 250_000}, 2.5),
        ({"a/b": -1, "a": 100_000}, 1),
        ({"a/b": -1, "a": -1, "": -1}, math.inf),
    ],
)
def test_version_1_has_the_quota_in_two_files(quotas: dict[str, int], expected: float, tmp_path: Path) -> None:
    proc = process(tmp_path, V1_PATH.format("/a/b"), ("/", *V1), ("/", "cgroup", "memory"))
    for group, quota in quotas.items():
        v1(tmp_path, group, quota)
    _write(mount_point(tmp_path, "cgroup", "memory") / "a/b", {"cpu.cfs_quota_us": "1", "cpu.cfs_period_us": "1000"})
    assert cgroup_quota(proc) == expected


def test_where_both_versions_are_mounted_both_are_asked(tmp_path: Path) -> None:
    proc = process(tmp_path, V1_PATH.format("/a") + "0::/b\n", ("/", *V1), ("/", *V2))
    v1(tmp_path, "a", 300_000)
    v2(tmp_path, "b", "max")
    assert cgroup_quota(proc) == 3


def test_a_container_without_a_namespace_sees_its_part_of_the_tree(tmp_path: Path) -> None:
    proc = process(tmp_path, V1_PATH.format("/docker/1/job"), ("/docker/1", *V1))
    v1(tmp_path, "job", 200_000)
    v1(tmp_path, "docker/1/job", 100_000)  # is another
    assert cgroup_quota(proc) == 2
    v1(tmp_path, "", 50_000)
    assert cgroup_quota(proc) == 0.5


@pytest.mark.parametrize("path", ["/../sibling", "/elsewhere"])
def test_of_a_cgroup_that_is_not_mounted_the_mounted_root_counts(path: str, tmp_path: Path) -> None:
    proc = process(tmp_path, f"0::{path}\n", ("/docker/1", *V2))
    v2(tmp_path, "", "200000")
    assert cgroup_quota(proc) == 2


@pytest.mark.parametrize("text", ["", "max", "many 100000", "a b c", "100000 0"])
def test_a_quota_that_makes_no_sense_is_none(text: str, tmp_path: Path) -> None:
    proc = process(tmp_path, "0::/\n", ("/", *V2))
    _write(mount_point(tmp_path, *V2), {"cpu.max": text})
    assert cgroup_quota(proc) == math.inf


def test_without_proc_or_with_another_than_linux_has_there_is_no_quota(tmp_path: Path) -> None:
    assert cgroup_quota(tmp_path / "proc") == math.inf
    proc = process(tmp_path, "nothing\n", ("/", *V2))
    assert cgroup_quota(proc) == math.inf
    (proc / "cgroup").write_text("0::/\n", encoding="utf-8")
    (proc / "mountinfo").write_text("nothing\n", encoding="utf-8")
    assert cgroup_quota(proc) == math.inf


@pytest.mark.parametrize(
    ("processors", "quota", "expected"),
    [(64, 2.0, 2), (64, 1.5, 2), (64, 0.1, 1), (2, 3.0, 2), (3, math.inf, 3), (1, 0.0, 1)],
)
def test_the_affinity_mask_and_the_quota_both_hold(
    processors: int, quota: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)), raising=False)
    monkeypatch.setattr(cpus, "cgroup_quota", lambda: quota)
    assert available_cpus() == expected


def test_where_there_is_no_affinity_mask_all_processors_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(cpus, "cgroup_quota", lambda: math.inf)
    for count, expected in ((5, 5), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        assert available_cpus() == expected


def test_a_container_with_2_of_64_processors_starts_2_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proc = process(tmp_path, "0::/\n", ("/", *V2))
    v2(tmp_path, "", "200000")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(cpus.cgroup_quota, "__defaults__", (proc,))
    monkeypatch.setattr(conductor, "_LEAST_FOR_PROCESSES", 0)
    monkeypatch.setattr(segments, "PART_BYTES", 1_000)
    started: list[int] = []

    def executor(_job: Job, workers: int) -> Executor:
        started.append(workers)
        raise KeyboardInterrupt

    source = write_lines(tmp_path / "runs.jsonl", *[case_result()] * 100)
    for workers, expected in ((0, 2), (5, 5)):  # what a user asks for is not second-guessed
        with pytest.raises(KeyboardInterrupt):
            pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions(workers=workers), executor=executor)
        assert started[-1] == expected
