"""Options are validated once, with an error that says what was expected."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

import polars_export as pe
from polars_export.targets import targets


def test_the_defaults_are_those_of_the_reference() -> None:
    options = pe.ExportOptions()
    assert options.format == pe.TrainingFormat.CHATML
    assert options.target == "reference"
    assert (options.quality_threshold, options.include_metadata) == (0.0, True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("chat_ml_sft", "chatml"), ("dpo_pairs", "dpo"), ("share_gpt", "sharegpt"), ("dpo", "dpo")],
)
def test_the_names_of_the_reference_are_accepted(name: str, expected: str) -> None:
    assert pe.ExportOptions(name).format == pe.TrainingFormat(expected)


def test_the_factories_set_format_and_threshold() -> None:
    assert pe.ExportOptions.chatml_sft(0.7) == pe.ExportOptions("chatml", quality_threshold=0.7)
    assert pe.ExportOptions.dpo_pairs(0.2) == pe.ExportOptions("dpo", quality_threshold=0.2)
    assert pe.ExportOptions.sharegpt() == pe.ExportOptions("sharegpt")


def test_an_unknown_format_is_named_with_the_nearest_known() -> None:
    with pytest.raises(
        pe.OptionError, match=r"format: expected one of chatml, dpo, sharegpt, kto, .*did you mean chatml\?"
    ):
        pe.ExportOptions("chatlm")


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), "much", None, 10**400])
def test_a_threshold_that_is_no_finite_number_is_refused(threshold: object) -> None:
    with pytest.raises(pe.OptionError, match="quality_threshold: expected a finite number"):
        pe.ExportOptions(quality_threshold=threshold)  # type: ignore[arg-type]


def test_options_cannot_be_changed_but_replaced() -> None:
    options = pe.ExportOptions(quality_threshold=0.5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.quality_threshold = 0.6  # type: ignore[misc]
    assert dataclasses.replace(options, format=pe.TrainingFormat.DPO) == pe.ExportOptions.dpo_pairs(0.5)


@pytest.mark.parametrize("target", targets().values(), ids=str)
def test_a_format_that_the_target_lacks_names_what_it_offers(target: pe.Target) -> None:
    lacking = [name for name in pe.TrainingFormat if name not in target.offered]
    assert lacking
    for name in lacking:
        with pytest.raises(pe.FormatNotImplementedError, match=f"{name} is not implemented for target {target}") as e:
            pe.ExportOptions(name, target=target)
        assert e.value.offered == target.offered


@pytest.mark.parametrize(
    "options",
    [
        {"prompts": "sets"},
        {"tools": "tools.json"},
        {"format": "dpo", "min_margin": 0.1},
        {"target": "trl", "min_margin": 0.1},
        {"target": "trl", "format": "dpo", "min_margin": -0.1},
        {"target": "trl", "label_threshold": 0.5},
        {"target": "openai", "arguments": "string"},
        {"test_fraction": 1.0},
        {"max_shard_bytes": "0MB"},
        {"max_shard_bytes": "many"},
        {"missing_prompt": "hide"},
        {"workers": -1},
    ],
)
def test_an_option_that_would_be_ignored_or_cannot_be_used_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(pe.OptionError, match=f"^{[*options][-1][:9]}"):
        pe.ExportOptions(**options)


def test_the_number_of_workers_is_not_among_what_decides_on_the_output() -> None:
    assert pe.ExportOptions(workers=3).as_dict() == pe.ExportOptions().as_dict()
    assert pe.ExportOptions(seed=3).as_dict() != pe.ExportOptions().as_dict()


def test_shard_sizes_have_units() -> None:
    sizes = [pe.ExportOptions(max_shard_bytes=size).max_shard_bytes for size in ("500MB", "1.5 GB", "64KiB", 7)]
    assert sizes == [500_000_000, 1_500_000_000, 65_536, 7]
