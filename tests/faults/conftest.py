"""Fixtures of tests of faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import write_lines
from tests.faults.three_sources import BEFORE, BEHIND, Three

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def three(tmp_path: Path) -> Three:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    write_lines(tmp_path / "in/a.jsonl", *BEFORE)
    write_lines(tmp_path / "in/c.jsonl", *BEHIND)
    return Three(tmp_path / "in", tmp_path / "out/records.jsonl")
