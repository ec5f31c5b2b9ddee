"""Exports the stores through the installed command line, once for every target and format that a test asks for.

The consumers need environments of their own, which need not hold polars-export: `POLARS_EXPORT` names the command.
`.ci/acceptance` builds those environments and runs the suites in them.
"""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import pytest

from tests.acceptance.stores import SAMPLE, TOOLS, make_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


Foreign: TypeAlias = Any  # a consumer's module or object: none is installed where types are checked


class Export(Protocol):
    """Exports a store and returns the folder, or the file where `--output` is given as a name."""

    def __call__(self, store: Path, target: str, format_: str, *options: str, name: str = "out") -> Path: ...


class Load(Protocol):
    """Reads a dataset folder with Hugging Face datasets, offline and without a cache from before."""

    def __call__(self, folder: Path, split: str = "train") -> Foreign: ...


@pytest.fixture(scope="session", autouse=True)
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is downloaded, nothing is os_errors_reported anywhere, and nothing is kept in the home directory."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_HUB_OFFLINE", "HF_DATASETS_DISABLE_PROGRESS_BARS", "TRL_EXPERIMENTAL_SILENCE"):
            patch.setenv(name, "1")
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("made") / "store")


@pytest.fixture(scope="session", params=["sample", "made"])
def store(request: pytest.FixtureRequest, made: Path) -> Path:
    return made if request.param == "made" else SAMPLE


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    named = os.environ.get("POLARS_EXPORT")
    command = [named] if named else [sys.executable, "-m", "polars_export"]

    @functools.cache
    def run(store: Path, target: str, format_: str, *options: str, name: str = "out") -> Path:
        output = tmp_path_factory.mktemp(f"{target}-{format_}") / name
        arguments = ["--target", target, "--format", format_, "--tools", str(TOOLS), "--output", str(output), *options]
        done = subprocess.run(
            [*command, "export", str(store), *arguments], capture_output=True, check=False, encoding="utf-8"
        )
        assert done.returncode == 0, done.stderr
        return output

    return run


@pytest.fixture(scope="session")
def datasets(offline: None) -> Foreign:  # noqa: ARG001 - the module reads the environment when imported
    return importlib.import_module("datasets")


@pytest.fixture(scope="session")
def load(datasets: Foreign, tmp_path_factory: pytest.TempPathFactory) -> Load:
    def read(folder: Path, split: str = "train") -> Foreign:
        return datasets.load_dataset(str(folder), split=split, cache_dir=str(tmp_path_factory.mktemp("cache")))

    return read
