"""Killed at any moment: the old output or the whole new one, and beside it nothing but what a resumed run uses."""

from __future__ import annotations

import os
import signal
import time
from itertools import count
from pathlib import Path
from random import Random
from shutil import rmtree

import pytest

from tests.faults.processes import (
    PART_WRITTEN,
    PATIENCE,
    Scene,
    options,
    runs,
    start,
    stopped,
    undisturbed,
    wait_for_the_last_of,
)

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

NAMES = ["out.jsonl", "out.parquet", "out"]
over_old = pytest.mark.parametrize("old", [False, True], ids=["new", "over an old one"])
on_errors = pytest.mark.parametrize("on_error", ["fail", "skip"])
in_names = pytest.mark.parametrize("name", NAMES)


class Scenes:
    """Makes scenes of the same runs, each with a folder of its own for the output.

    The old output has the same files as the new one, with other contents. Where invalid records are skipped, there are
    some.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()
        self._known: dict[tuple[str, str, str], dict[str, bytes]] = {}

    def make(self, name: str, *, old: bool = True, on_error: str = "skip") -> Scene:
        expected = self._expected_files(name, "new", on_error)
        output = self._folder / str(next(self._numbers)) / name
        before = self._expected_files(name, "old", on_error) if old else {}
        assert before.keys() == (expected.keys() if old else set())
        scene = Scene(self._source("new", on_error), output, on_error, before, expected)
        scene.set_up()
        return scene

    def _source(self, word: str, on_error: str) -> Path:
        source = self._folder / word / on_error / "runs.jsonl"
        if not source.exists():
            source.parent.mkdir(parents=True)
            source.write_bytes(runs(300, word, bad=on_error == "skip"))
        return source

    def _expected_files(self, name: str, word: str, on_error: str) -> dict[str, bytes]:
        if (name, word, on_error) not in self._known:
            source = self._source(word, on_error)
            self._known[name, word, on_error] = undisturbed(
                source, source.with_name(name), options(source.with_name(name), on_error)
            )
        return self._known[name, word, on_error]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    return Scenes(tmp_path_factory.mktemp("killed"))


FIRST_CHANGE, PART_DONE = "open .*/lock'", "os.remove .*/000001'"
"""The first change of all, and one that follows the first entry of the journal: the file of the second part goes."""


def kill(scene: Scene, after: float, behind: str, *more: str) -> str:
    """Kill an export some seconds behind one of its changes to files; return the state found then."""
    with stopped(scene, behind, *more) as process:
        process.send_signal(signal.SIGCONT)
        time.sleep(after)
        process.kill()
        process.wait(PATIENCE)
        wait_for_the_last_of(process.pid)
    scene.check_left()
    return scene.state()


def time_of(scene: Scene, behind: str) -> float:
    """Return the seconds from one of its changes to files to the end of an export: the kills are spread over them."""
    with stopped(scene, behind) as process:
        process.send_signal(signal.SIGCONT)
        began = time.monotonic()
        assert process.wait(PATIENCE) == 0
        seconds = time.monotonic() - began
    assert scene.state() == "new"
    assert scene.check_left() == []
    return seconds


def test_killed_at_random_moments_nothing_is_ever_partial_and_a_resumed_run_ends_the_same(scenes: Scenes) -> None:
    random = Random(os.urandom(8))  # noqa: S311 - any moment will do
    for name, old, on_error in (("out.jsonl", True, "fail"), ("out", False, "skip")):
        scene = scenes.make(name, old=old, on_error=on_error)
        with start(*scene.arguments(), share=random.random()) as process:
            assert process.wait(PATIENCE) == -signal.SIGKILL
            wait_for_the_last_of(process.pid)
        assert scene.state() == "old"
        assert len(scene.check_left()) == 1
        scene.finish()


@pytest.mark.long
@on_errors
@over_old
@in_names
def test_a_hundred_times_killed_nothing_is_ever_partial_and_a_resumed_run_ends_the_same(
    *, name: str, old: bool, on_error: str, scenes: Scenes
) -> None:
    seed = int.from_bytes(os.urandom(4))
    print(f"seed {seed}")  # noqa: T201 - shown where the test fails
    random = Random(seed)  # noqa: S311 - chance decides what is tested, and nothing else
    seconds = {
        behind: time_of(scenes.make(name, old=old, on_error=on_error), behind) for behind in (FIRST_CHANGE, PART_DONE)
    }
    states, resumed = [], []
    for behind in [FIRST_CHANGE, PART_DONE] * 4 + [PART_DONE]:
        scene = scenes.make(name, old=old, on_error=on_error)
        states.append(kill(scene, random.uniform(0, 1.1 * seconds[behind]), behind))
        while states[-1] == "old" and random.random() < 0.3:
            states.append(kill(scene, random.uniform(0, seconds[FIRST_CHANGE]), FIRST_CHANGE, "--resume"))
        resumed.append(scene.finish(workers=random.randint(1, 2)).resumed)
        rmtree(scene.output.parent)
    print(f"{len(states)} kills, {states.count('new')} when it was done, {sum(map(bool, resumed))} resumed")  # noqa: T201


def kill_part_way(scene: Scene) -> None:
    """Kill an export when it has written more than half of its parts."""
    with start(*scene.arguments(), change=8, like=PART_WRITTEN) as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL
        wait_for_the_last_of(process.pid)
    assert scene.state() == "old"
    assert len(scene.check_left()) == 1


@pytest.mark.long
@in_names
def test_parts_written_before_the_kill_are_not_rendered_again(name: str, scenes: Scenes) -> None:
    scene = scenes.make(name)
    kill_part_way(scene)
    report = scene.finish()
    assert 0.2 * report.traces_read < report.resumed < 0.8 * report.traces_read


@pytest.mark.long
@pytest.mark.parametrize("name", ["out.jsonl", "out"])
def test_without_the_option_nothing_is_resumed(name: str, scenes: Scenes) -> None:
    scene = scenes.make(name)
    kill_part_way(scene)
    assert scene.finish(resume=False).resumed == 0


def kill_before_change(scene: Scene, number: int, like: str = "") -> str:
    """Kill an export before one of its changes to files, and resume it; return the state found between."""
    with start(*scene.arguments(), change=number, like=like) as process:
        process.wait(PATIENCE)
        wait_for_the_last_of(process.pid)
    scene.check_left()
    state = scene.state()
    scene.finish()
    return state


@pytest.mark.parametrize(
    ("name", "on_error", "like", "state"),
    [
        pytest.param("out.jsonl", "skip", r"os.rename .*new/out\.jsonl", "old", marks=pytest.mark.long),
        pytest.param("out.jsonl", "fail", "shutil.rmtree", "new", marks=pytest.mark.long),
        ("out", "fail", "shutil.rmtree", "new"),
    ],
)
def test_killed_while_it_publishes_nothing_is_partial(
    name: str, on_error: str, like: str, state: str, scenes: Scenes
) -> None:
    assert kill_before_change(scenes.make(name, on_error=on_error), 1, like) == state


@pytest.mark.long
@pytest.mark.parametrize(("old", "on_error"), [(True, "fail"), (False, "skip")])
@in_names
def test_killed_before_any_of_its_changes_nothing_is_partial(
    *, name: str, old: bool, on_error: str, scenes: Scenes
) -> None:
    with start(*scenes.make(name, old=old, on_error=on_error).arguments(), change=0) as process:
        assert process.stderr
        assert process.wait(PATIENCE) == 0
        changes = int(process.stderr.read())
    states = []
    for number in [1, 4, 8, *range(12, changes - 14, changes // 3), *range(changes - 14, changes + 1)]:
        scene = scenes.make(name, old=old, on_error=on_error)
        states.append(kill_before_change(scene, number))
        rmtree(scene.output.parent)
    assert states == sorted(states, reverse=True)  # once it is published, it stays
    assert {*states} == {"old", "new"}
