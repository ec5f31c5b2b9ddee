"""Damaged files of every recorder: an export ends with an account that adds up, or in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.inputs import (
    test_inspect,
    test_mini_swe_agent,
    test_nemo_gym,
    test_openhands,
    test_swe_agent,
    test_tau2,
    test_verifiers,
    test_verifiers_episodes,
)
from tests.inputs.mutations import export_mutations

if TYPE_CHECKING:
    from pathlib import Path

VALID = {
    "inspect": test_inspect.VALID,
    "inspect's documents": test_inspect.VALID_DOCUMENT,
    "mini-swe-agent": test_mini_swe_agent.VALID,
    "nemo-gym": test_nemo_gym.VALID,
    "openhands": test_openhands.VALID,
    "swe-agent": test_swe_agent.VALID,
    "tau2": test_tau2.VALID,
    "verifiers": test_verifiers.VALID,
    "verifiers' episodes": test_verifiers_episodes.VALID_EPISODES,
}
FEW = 40


@pytest.mark.parametrize("kind", VALID)
def test_mutations_end_in_an_account_or_in_one_line(kind: str, tmp_path: Path) -> None:
    name, valid = VALID[kind]
    export_mutations(valid, tmp_path / name, FEW)


@pytest.mark.long
@pytest.mark.parametrize("kind", VALID)
def test_many_mutations_end_in_an_account_or_in_one_line(kind: str, tmp_path: Path) -> None:
    name, valid = VALID[kind]
    export_mutations(valid, tmp_path / name, 500, seed=1)
