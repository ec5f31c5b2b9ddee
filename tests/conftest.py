"""Settings that all tests share."""

from __future__ import annotations

import compileall
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    from hypothesis import HealthCheck, settings
except ModuleNotFoundError:  # the environments of the trainers have none
    pass
else:
    # How long something takes never decides whether a test passes: the machine may be busy.
    for name, examples in (("few", 15), ("many", 200)):
        settings.register_profile(
            name, max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        )
    settings.load_profile("few")


def pytest_configure(config: pytest.Config) -> None:
    """Compile the package, as an installer does: tests start many processes, and not all of these would keep it."""
    if not hasattr(config, "workerinput"):  # a process of pytest-xdist, which finds it compiled
        compileall.compile_dir(Path(__file__).parents[1] / "polars_export", quiet=2)


@pytest.fixture(scope="session", autouse=True)
def _workers_save_what_was_measured() -> Iterator[None]:
    """Under coverage, let workers end by themselves: an export kills them as soon as it needs them no more."""
    kill = subprocess.Popen.kill

    def wait_and_kill(process: subprocess.Popen[Any]) -> None:
        if isinstance(process.args, list) and "-P" in process.args:  # a worker, and nothing else that tests start
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
        kill(process)

    with pytest.MonkeyPatch.context() as patch:
        if "COVERAGE_PROCESS_CONFIG" in os.environ:
            patch.setattr(subprocess.Popen, "kill", wait_and_kill)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of properties, of which the number of examples can be chosen."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("property")
