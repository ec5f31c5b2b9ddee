"""Options are validated once, with an error that says what was expected."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.cli import cli, main
from polars_export.targets import targets
from tests.builders import case_result, write_lines

if TYPE_CHECKING:
    from pathlib import Path


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


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), "much", "0.5", True, [0.5], 10**400])
def test_a_threshold_that_is_no_finite_number_is_refused(threshold: object) -> None:
    with pytest.raises(pe.OptionError, match=r"^--quality-threshold: expected a finite number"):
        pe.ExportOptions(quality_threshold=threshold)  # type: ignore[arg-type]


@pytest.mark.parametrize("target", targets().values(), ids=str)
def test_without_a_threshold_the_reference_asks_for_zero_and_no_other_target_for_any(target: pe.Target) -> None:
    expected = 0.0 if target == "reference" else None
    assert pe.ExportOptions("dpo", target=target).quality_threshold == expected
    assert pe.ExportOptions("dpo", target=target, quality_threshold=-1).quality_threshold == -1.0


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
        {"target": "trl", "completion": "first"},
        {"format": "dpo", "completion": "first"},
        {"test_fraction": 1.0},
        {"split_by": "case"},
        {"target": "trl", "test_fraction": 0.0, "split_by": "prompt"},
        {"test_fraction": 0.1, "split_by": "prompt"},
        {"test_fraction": 0.1, "split_by": "turn"},
        {"max_shard_bytes": "0MB"},
        {"max_shard_bytes": "many"},
        {"missing_prompt": "hide"},
        {"workers": -1},
    ],
)
def test_an_option_that_would_be_ignored_or_cannot_be_used_is_refused(options: dict[str, Any]) -> None:
    name = [*options][-1]
    with pytest.raises(pe.OptionError, match=f"^{spelled(name)}: ") as error:
        pe.ExportOptions(**options)
    assert error.value.option == name


def spelled(option: str) -> str:
    """Return what the command line calls an option."""
    found = [each.opts[0] for each in cli.commands["export"].params if each.name == option]
    return found[0] if found else {"include_metadata": "--no-metadata"}[option]


WRONG_TYPES: dict[str, tuple[object, ...]] = {
    "format": (3, None, ["chatml"]),
    "target": (3, None, ["trl"], {}),
    "quality_threshold": ("0.5", b"1", object()),
    "include_metadata": (1, None, "no"),
    "prompts": (3, None, b"sets", ["a", 3], [b"a"]),
    "tools": (3, b"tools", ["tools.json"]),
    "input": (3, ["inspect"]),
    "map": (3, "score", ["=x"], {"scores": "reward"}, lambda row: row),
    "missing_prompt": (3, None, []),
    "reasoning": (True,),
    "arguments": ({},),
    "completion": (3, "second"),
    "min_margin": (None, "0.1", False),
    "label_threshold": ("0.5",),
    "test_fraction": ("0.5", []),
    "seed": (1.5, "1", True),
    "split_by": (3,),
    "max_shard_bytes": (1.5, True, []),
    "file_type": (3, "csv"),
    "on_error": (None,),
    "max_record_bytes": (None, 1e6),
    "overwrite": (3, "yes", None),
    "resume": (1,),
    "workers": ("x", 1.0, None, True),
}


def test_every_option_has_wrong_types_to_refuse() -> None:
    assert {field.name for field in dataclasses.fields(pe.ExportOptions)} == {*WRONG_TYPES, "rules"}


@pytest.mark.parametrize(
    ("option", "value"), [(option, value) for option, values in WRONG_TYPES.items() for value in values]
)
def test_a_wrong_type_is_an_error_that_names_the_option(option: str, value: object) -> None:
    with pytest.raises(pe.OptionError, match=f"^{spelled(option)}: expected .*, found ") as error:
        pe.ExportOptions(**{option: value})  # type: ignore[arg-type]
    assert error.value.option == option


@pytest.mark.parametrize("rules", [3, [3]])
def test_rules_that_are_none_are_refused(rules: object) -> None:
    with pytest.raises(pe.OptionError, match=r"^rules: expected rules, found "):
        pe.ExportOptions(rules=rules)  # type: ignore[arg-type]


@pytest.mark.parametrize("sources", [3, None, b"runs.jsonl", ["runs.jsonl", 3]])
def test_sources_that_are_no_paths_are_refused(sources: Any) -> None:  # noqa: ANN401 - anything but paths
    for use in (
        lambda: pe.export(sources, "out.jsonl"),
        lambda: pe.read_traces(sources),
        lambda: pe.read_turns(sources),
    ):
        with pytest.raises(pe.OptionError, match=r"^SOURCE: expected a path.*, found "):
            use()


def test_other_arguments_of_wrong_types_are_refused(tmp_path: Path) -> None:
    source: Any = write_lines(tmp_path / "runs.jsonl", case_result())
    wrong: Any = 3
    with pytest.raises(pe.OptionError, match=r"^--output: expected a path, found 3"):
        pe.export(source, wrong)
    with pytest.raises(pe.OptionError, match=r"^options: expected ExportOptions, found 3"):
        pe.export(source, tmp_path / "out.jsonl", wrong)
    with pytest.raises(pe.OptionError, match=r"^options: expected ExportOptions, found 3"):
        pe.export_traces([case_result()], wrong)
    with pytest.raises(pe.OptionError, match=r"^--prompts: expected a path or several, found 3"):
        pe.read_traces(source, prompts=wrong)


def test_paths_are_accepted_wherever_names_are(tmp_path: Path) -> None:
    options = pe.ExportOptions(target="trl", prompts=tmp_path, tools=tmp_path / "tools.json")
    assert options.prompts == (str(tmp_path),)
    assert options.tools == str(tmp_path / "tools.json")
    assert pe.ExportOptions(target="trl", prompts=(each for each in [str(tmp_path), "b"])).prompts == (
        str(tmp_path),
        "b",
    )


def test_the_number_of_workers_is_not_among_what_decides_on_the_output() -> None:
    assert pe.ExportOptions(workers=3).as_dict() == pe.ExportOptions().as_dict()
    assert pe.ExportOptions(seed=3).as_dict() != pe.ExportOptions().as_dict()


@pytest.mark.parametrize("output", ["out.jsonl", "out.jsonl.gz", "out.parquet", "-"])
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("test_fraction", 0.5),
        ("test_fraction", 0.0),
        ("seed", 0),
        ("max_shard_bytes", "500MB"),
        ("file_type", "parquet"),
    ],
)
def test_an_option_of_dataset_repositories_is_refused_for_a_file(
    option: str,
    value: Any,  # noqa: ANN401 - an option
    output: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    source = write_lines(tmp_path / "runs.jsonl", case_result())
    problem = f"{spelled(option)}: is for a dataset repository: name a directory as --output"
    options = pe.ExportOptions(**{option: value})
    for use in (lambda: pe.export(source, output, options), lambda: pe.export_traces([case_result()], options)):
        with pytest.raises(pe.OptionError, match=f"^{problem}$") as error:
            use()
        assert error.value.option == option
    assert [path.name for path in tmp_path.iterdir()] == ["runs.jsonl"]
    pe.export(source, tmp_path / "out", options)


def test_standard_output_cannot_be_resumed_and_a_compressed_file_begins_anew(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "runs.jsonl", case_result())
    with pytest.raises(pe.OptionError, match=r"^--resume: a stream cannot be resumed: name a file"):
        pe.export(source, "-", pe.ExportOptions(resume=True))
    assert [path.name for path in tmp_path.iterdir()] == ["runs.jsonl"]
    assert pe.export(source, tmp_path / "out.jsonl.zst", pe.ExportOptions(resume=True)).resumed == 0


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"tools": "tools.json"}, "hold neither prompts nor tools; choose --target llamafactory or openai or trl"),
        ({"min_margin": 0.1}, "is for --format dpo with --target llamafactory or openai or trl"),
        ({"label_threshold": 0.1}, "is for --format kto with --target llamafactory or trl"),
        ({"arguments": "string"}, "is for --target trl; the records of reference fix it"),
    ],
)
def test_an_error_names_the_targets_and_formats_that_take_the_option(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(pe.OptionError, match=f"{problem}$"):
        pe.ExportOptions(**options)


def test_the_command_line_says_what_to_do_about_an_option_that_a_file_ignores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_lines(tmp_path / "runs.jsonl", case_result())
    command = ["export", str(source), "--format", "chatml", "--output", str(tmp_path / "out.jsonl"), "--seed", "0"]
    assert main(command) == 2
    problem = "polars-export: --seed: is for a dataset repository: name a directory as --output\n"
    assert capsys.readouterr().err == problem


def test_options_of_dataset_repositories_have_defaults() -> None:
    given = pe.ExportOptions(seed=3).repository
    assert (given.seed, given.test_fraction, given.max_shard_bytes) == (3, 0.0, 500_000_000)
    assert (given.file_type, given.split_by) == ("parquet", "case")
    told = pe.ExportOptions(seed=3).as_dict()
    assert (told["seed"], told["file_type"], told["target"]) == (3, "parquet", "reference")


def test_shard_sizes_have_units() -> None:
    sizes = [pe.ExportOptions(max_shard_bytes=size).max_shard_bytes for size in ("500MB", "1.5 GB", "64KiB", 7)]
    assert sizes == [500_000_000, 1_500_000_000, 65_536, 7]
