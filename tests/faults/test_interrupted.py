"""Interrupted, or with a worker killed: an export ends at once, cleans up, and the previous output is unchanged."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.faults.processes import (
    PATIENCE,
    Scene,
    options,
    processes_of,
    runs,
    start,
    stopped,
    undisturbed,
    wait_for_the_last_of,
)

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

INTERRUPTED = b"polars-export: interrupted; the previous output is unchanged\n"
COUNTED = b"1\n"
"""The number of matching changes, which an export that was stopped before one of them prints at its end."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("interrupted") / "runs.jsonl"
    path.write_bytes(runs(300))
    return path


def scene_of(source: Path, output: Path, expected: dict[str, bytes] | None = None) -> Scene:
    old = {output.name if output.suffix else "data/old.jsonl": b"old"}
    scene = Scene(source, output, "skip", old, expected or {})
    scene.set_up()
    return scene


RUNNING = "open .*/journal'"
"""The change that an export is about to make when it has its first part, while its workers run other tasks."""


def check_unchanged(scene: Scene) -> None:
    assert scene.state() == "old"
    assert [path.name for path in scene.output.parent.iterdir()] == [scene.output.name]


@pytest.mark.parametrize(("name", "number"), [("out.jsonl", signal.SIGINT), ("out", signal.SIGTERM)])
def test_interrupted_it_cleans_up_and_leaves_the_old_output(
    name: str, number: int, source: Path, tmp_path: Path
) -> None:
    scene = scene_of(source, tmp_path / "out" / name)
    with stopped(scene, RUNNING) as process:
        assert process.stderr
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        assert process.wait(PATIENCE) == 130
        wait_for_the_last_of(process.pid)
        assert process.stderr.read() == INTERRUPTED + COUNTED
    check_unchanged(scene)


@pytest.mark.parametrize("name", ["out.jsonl", pytest.param("out", marks=pytest.mark.long)])
def test_interrupted_again_and_again_it_cleans_up_all_the_same(name: str, source: Path, tmp_path: Path) -> None:
    scene = scene_of(source, tmp_path / "out" / name)
    with stopped(scene, RUNNING) as process:
        assert process.stderr
        process.send_signal(signal.SIGCONT)
        for _ in range(200):
            process.send_signal(signal.SIGINT)
            time.sleep(0.001)
        assert process.wait(PATIENCE) == 130
        wait_for_the_last_of(process.pid)
        assert process.stderr.read() == INTERRUPTED + COUNTED
    check_unchanged(scene)


@pytest.mark.parametrize("name", ["out.jsonl", pytest.param("out", marks=pytest.mark.long)])
def test_a_worker_that_is_killed_ends_the_export(name: str, source: Path, tmp_path: Path) -> None:
    scene = scene_of(source, tmp_path / "out" / name)
    with stopped(scene, RUNNING) as process:
        assert process.stderr
        workers = processes_of(process.pid) - {process.pid}
        assert len(workers) == 2
        os.kill(min(workers), signal.SIGKILL)
        process.send_signal(signal.SIGCONT)
        assert process.wait(PATIENCE) == 5
        wait_for_the_last_of(process.pid)
        message, counted = process.stderr
    assert message.startswith(b"polars-export: a worker process was killed by signal 9")
    assert counted == COUNTED
    check_unchanged(scene)


def interrupt(scene: Scene, change: int, like: str = "") -> None:
    """Interrupt an export before a change to a file; it must tell the truth about what it leaves behind."""
    with start(*scene.arguments(), change=change, like=like, number=signal.SIGINT) as process:
        assert process.stderr
        status = process.wait(PATIENCE)
        wait_for_the_last_of(process.pid)
        *messages, changes = process.stderr.read().splitlines(keepends=True)
    assert status in {0, 130}, messages
    assert scene.state() == ("old" if status else "new")
    assert messages == ([INTERRUPTED] if status else [])
    assert int(changes) >= change
    assert scene.check_left() == []


@pytest.mark.parametrize("name", [pytest.param("out.jsonl", marks=pytest.mark.long), "out"])
def test_interrupted_when_it_has_published_it_does_not_say_that_it_has_not(
    name: str, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "undisturbed").mkdir()
    other = tmp_path / "undisturbed" / name
    expected = undisturbed(source, other, options(other, "skip"))
    interrupt(scene_of(source, tmp_path / "out" / name, expected), 1, "shutil.rmtree")


@pytest.mark.long
@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet", "out"])
def test_interrupted_at_any_step_of_publishing_it_tells_the_truth(name: str, source: Path, tmp_path: Path) -> None:
    (tmp_path / "undisturbed").mkdir()
    other = tmp_path / "undisturbed" / name
    expected = undisturbed(source, other, options(other, "skip"))
    with start(*scene_of(source, tmp_path / "counted" / name).arguments(), change=0) as process:
        assert process.stderr
        assert process.wait(PATIENCE) == 0
        changes = int(process.stderr.read())
    for step in range(20):
        interrupt(scene_of(source, tmp_path / str(step) / name, expected), changes - step)
