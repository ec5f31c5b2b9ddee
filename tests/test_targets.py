"""Targets describe themselves, and one of a user's own plugs in without a change elsewhere."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import polars_export as pe
import polars_export.formats
from polars_export.choices import Reasoning
from polars_export.execution import conductor
from polars_export.formats import record_format
from polars_export.report import DropReason
from polars_export.sources import segments
from polars_export.targets import format_names, targets
from tests.builders import call, case_result, result, turn, write_lines
from tests.plugins.target import PLAIN_TEXT

CELLS = [pe.ExportOptions(name, target=target) for target in targets().values() for name in target.offered]


@pytest.mark.parametrize("options", CELLS, ids=lambda options: f"{options.target}-{options.format}")
def test_a_format_has_the_keys_that_its_target_tells(options: pe.ExportOptions) -> None:
    assert tuple(record_format(options).schema(options).names) == options.target_format.keys


def test_the_default_target_comes_first_and_the_formats_of_all_are_known() -> None:
    assert list(targets()) == ["reference", "llamafactory", "openai", "trl"]
    assert format_names() == ["chatml", "dpo", "sharegpt", "kto", "prompt-completion"]


def test_a_target_equals_its_name() -> None:
    trl = pe.ExportOptions(target="trl").target
    assert trl == "trl"
    assert trl != "openai"
    assert trl != 3
    assert str(trl) == f"{trl}" == "trl"
    assert {"trl": 1}[trl] == 1  # type: ignore[index]
    assert pickle.loads(pickle.dumps(trl)) == trl  # noqa: S301 - made here


def test_targets_are_described_without_polars() -> None:
    code = (
        "import sys; from polars_export import ExportOptions; from polars_export.targets import targets; targets();"
        "ExportOptions(target='trl'); print(*sorted({'polars', 'pyarrow', 'msgspec'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_target_of_ones_own_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", 2_000)
    monkeypatch.setattr(conductor, "_LEAST_FOR_PROCESSES", 0)
    looks = turn("Let me look.", calls=[call()], results=[result("Seen.")])
    source = write_lines(tmp_path / "runs.jsonl", *(case_result(f"case {n}", looks, turn("Yes.")) for n in range(9)))
    options = pe.ExportOptions("transcript", target=PLAIN_TEXT, missing_prompt="keep", workers=workers)
    report = pe.export(source, tmp_path / "out.jsonl", options)
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert records == [{"case": f"case {n}", "transcript": "Let me look.\nSeen.\nYes."} for n in range(9)]
    assert report.dropped_content == {"tool calls": 9}


def test_a_target_of_ones_own_makes_a_dataset(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "runs.jsonl", case_result())
    options = pe.ExportOptions("transcript", target=PLAIN_TEXT, missing_prompt="keep")
    pe.export(source, tmp_path / "out", options)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))
    assert (manifest["options"]["target"], manifest["options"]["format"]) == ("plain-text", "transcript")
    assert "`transcript` format for `plain-text`" in (tmp_path / "out/README.md").read_text(encoding="utf-8")


def test_a_format_of_another_target_is_not_offered_by_ones_own() -> None:
    with pytest.raises(
        pe.FormatNotImplementedError, match="chatml is not implemented for target plain-text; it offers: t"
    ):
        pe.ExportOptions("chatml", target=PLAIN_TEXT)
    with pytest.raises(pe.OptionError, match="expected one of chatml, dpo, sharegpt, kto, prompt-completion, found"):
        pe.ExportOptions("transcript", target="trl")


def test_the_page_of_the_targets_says_what_they_can_carry() -> None:
    page = (Path(polars_export.formats.__file__).parent / "README.md").read_text(encoding="utf-8")
    words = {"drop": "dropped"}
    for name, target in targets().items():
        cells = [
            f"`{name}`",
            ", ".join(words.get(way, way) for way in target.reasoning),
            ", ".join(target.arguments),
            "yes" if target.text_beside_calls else "no",
            "yes" if target.tool_call_ids else "no",
            "conversations" if target.whole_sides else "single messages",
            "yes" if target.metadata else "no",
            "yes" if target.joins_prompts else "no",
            "none" if target.quality_threshold is None else str(target.quality_threshold),
        ]
        assert f"| {' | '.join(cells)} |\n" in page
    assert {reason for reason in DropReason if f"`{reason}`" in page} == OF_TARGETS


OF_TARGETS = {
    DropReason.DIFFERENT_PROMPTS,
    DropReason.MISSING_PROMPT,
    DropReason.SYSTEM_MESSAGE_INSIDE,
    DropReason.STARTS_WITH_ASSISTANT,
    DropReason.ADJACENT_TOOL_CALLS,
    DropReason.EMPTY_LAST_MESSAGE,
    DropReason.UNANSWERED_CALL,
    DropReason.REPEATED_CALL_ID,
    DropReason.REPEATED_RESULT,
    DropReason.NOT_SINGLE_MESSAGE,
    DropReason.IDENTICAL,
    DropReason.UNLABELLED,
}


@pytest.mark.parametrize("options", CELLS, ids=lambda options: f"{options.target}-{options.format}")
def test_what_a_target_tells_of_its_messages_is_what_their_schema_has(options: pe.ExportOptions) -> None:
    target, names = options.target, names_in(record_format(options).schema(options))
    if "tool_calls" in names:
        assert ("tool_call_id" in names or "id" in names) == target.tool_call_ids
        assert ("reasoning_content" in names) == (Reasoning.FIELD in target.reasoning)
    assert ("metadata" in names) == target.metadata


def names_in(kind: pa.Schema | pa.DataType) -> set[str]:
    """Return the names of all fields, at every depth."""
    if isinstance(kind, pa.Schema):
        return set(kind.names).union(*(names_in(field.type) for field in kind))
    if pa.types.is_list(kind):
        return names_in(kind.value_type)
    if pa.types.is_struct(kind):
        return {field.name for field in kind}.union(*(names_in(field.type) for field in kind))
    return set()


@pytest.mark.parametrize("name", ["chatml", "dpo"])
def test_the_reference_has_no_records_of_other_inputs_than_its_own(name: str, tmp_path: Path) -> None:
    rows = [{"task_id": "a", "reward": n, "messages": [{"role": "user", "content": "Hi."}]} for n in (0, 1)]
    source = write_lines(tmp_path / "rows.jsonl", *rows)
    with pytest.raises(pe.OptionError, match=r"^--target: .*rows\.jsonl holds message-rows; choose --target trl"):
        pe.export(source, tmp_path / "out.jsonl", pe.ExportOptions(name))
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]
