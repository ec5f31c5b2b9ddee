"""Real files of recorders, where the environment variable POLARS_EXPORT_INPUTS says that there are some."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

__all__ = ["real_file"]


def real_file(name: str) -> Path:
    """Return a real file, or skip the test that asks for it."""
    folder = os.environ.get("POLARS_EXPORT_INPUTS")
    if not folder:
        pytest.skip("POLARS_EXPORT_INPUTS names no folder of real files")
    path = Path(folder) / name
    assert path.exists(), path
    return path
