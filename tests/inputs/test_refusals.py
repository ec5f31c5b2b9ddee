"""No recorder's dialect takes the files of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import polars_export as pe
from tests.inputs import (
    test_mini_swe_agent,
    test_nemo_gym,
    test_openhands,
    test_swe_agent,
    test_tau2,
    test_verifiers,
)

if TYPE_CHECKING:
    from pathlib import Path

VALID = {
    "mini-swe-agent": test_mini_swe_agent.VALID,
    "nemo-gym": test_nemo_gym.VALID,
    "openhands": test_openhands.VALID,
    "swe-agent": test_swe_agent.VALID,
    "tau2": test_tau2.VALID,
    "verifiers": test_verifiers.VALID,
}
STRICT = ("mini-swe-agent", "openhands", "swe-agent")


@pytest.mark.parametrize("kind", VALID)
def test_a_file_is_recognised_as_what_it_is_and_refused_by_others(kind: str, tmp_path: Path) -> None:
    name, data = VALID[kind]
    source = tmp_path / name
    source.write_bytes(data)
    assert set(pe.read(source).traces["input"]) == {kind}
    for other in STRICT:
        if other != kind:
            with pytest.raises(pe.InputError) as caught:
                pe.read(source, pe.InputOptions(input=other))
            assert "\n" not in str(caught.value)
