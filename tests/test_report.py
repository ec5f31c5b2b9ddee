"""Every trace read ends in exactly one count."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING

import pytest

import polars_export as pe
from polars_export.sources import segments
from polars_export.terminal import summary
from tests.builders import call, case_result, result, turn, write_lines

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def test_each_trace_is_counted_once(tmp_path: Path) -> None:
    runs = [("a", 0.9), ("a", 0.1), ("a", 0.5), ("a", 0.6), ("b", 0.7), ("c", -0.5), ("c", -0.9)]
    source = write_lines(tmp_path / "runs.jsonl", *[case_result(case, scores=[score]) for case, score in runs])
    pairs = pe.export(source, tmp_path / "pairs.jsonl", pe.ExportOptions("dpo"))
    assert (pairs.traces_read, pairs.exported, pairs.records) == (7, 2, 1)
    assert pairs.dropped == {"below_threshold": 2, "single_run": 1, "not_selected": 2}
    every = pe.export(source, tmp_path / "all.jsonl", pe.ExportOptions("chatml", quality_threshold=0.55))
    assert (every.traces_read, every.exported, every.records) == (7, 3, 3)
    assert every.dropped == {"below_threshold": 4}


def test_content_that_the_records_cannot_carry_is_counted(tmp_path: Path) -> None:
    blocks = [{"type": "thinking", "thinking": "?"}, {"type": "image"}, {"type": "extension"}, {"type": "new"}]
    kept = case_result("a", turn("x", *blocks, calls=[call()], results=[result(), result()]))
    left = case_result("b", turn("x", *blocks), scores=[-1.0])
    source = write_lines(tmp_path / "runs.jsonl", kept, left)
    lost = {"reasoning blocks": 1, "images": 1, "extensions": 1, "unknown blocks": 1, "tool results": 2}
    assert pe.export(source, tmp_path / "a.jsonl", pe.ExportOptions("chatml")).dropped_content == lost
    assert pe.export(source, tmp_path / "b.jsonl", pe.ExportOptions("sharegpt")).dropped_content == {
        **lost,
        "tool calls": 1,
    }


@pytest.mark.parametrize(
    "error",
    [
        pe.BadRecordError("f", 3, "$.a", "b", "c"),
        pe.NothingToExportError(0.5, 2, {"single_run": 2}),
        pe.FormatNotImplementedError("dpo", "reference", ["chatml"]),
        pe.SourceError("f", "is gone"),
        pe.MissingPromptError(9, [("set", "a"), (None, "b")]),
        pe.OptionError("output", "is one of the sources"),
        pe.OutputError("out", "No space left on device"),
        pe.SerializationError(3, "is no JSON"),
        pe.WorkerError(-9),
    ],
)
def test_errors_cross_from_process_to_process(error: pe.ExportError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_an_account_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(AssertionError, match="3 traces were read, but 2 are accounted for"):
        pe.ExportReport("out", records=1, traces_read=3, exported=1, dropped={pe.DropReason.SINGLE_RUN: 1})


def test_a_reason_of_the_target_has_the_case_of_the_first_trace_that_it_concerns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [case_result(case, turn(text)) for case, text in (("a", "x"), ("b", ""), ("c", ""))]
    source = write_lines(tmp_path / "runs.jsonl", *runs)
    options = pe.ExportOptions("sharegpt", target="llamafactory", prompts=eval_set(tmp_path / "set.json", "abc"))
    report = pe.export(source, tmp_path / "out", options)
    assert report.dropped == {"empty_last_message": 2}
    assert report.examples == {"empty_last_message": (None, "b")}
    manifest = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))
    assert manifest["counts"]["examples"] == {"empty_last_message": {"eval_set_id": None, "case_id": "b"}}
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert "| dropped: `empty_last_message`, such as `b` | 2 |" in card
    summary(report)
    assert "dropped: empty_last_message, such as b" in capsys.readouterr().err


def test_the_example_of_a_reason_is_the_first_whatever_the_number_of_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", 2_000)
    runs = [case_result(f"case {n}", turn("x" if n < 5 else ""), eval_set_id="set") for n in range(20)]
    source = write_lines(tmp_path / "runs.jsonl", *runs)
    sets = eval_set(tmp_path / "set.json", [f"case {n}" for n in range(20)])
    options = pe.ExportOptions("sharegpt", target="llamafactory", prompts=sets)
    report = pe.export(source, tmp_path / "out.jsonl", options)
    assert report.dropped == {"empty_last_message": 15}
    assert report.example("empty_last_message") == "set/case 5"
    assert report.example("tied") is None


def eval_set(path: Path, cases: Iterable[str]) -> Path:
    known = [{"id": case, "name": case, "system_prompt": "", "user_messages": ["Hello?"]} for case in cases]
    path.write_text(json.dumps({"id": "set", "name": "set", "cases": known}), encoding="utf-8")
    return path


@pytest.mark.parametrize("format_", ["chatml", "dpo"])
def test_reasons_that_concern_single_traces_have_examples(format_: str, tmp_path: Path) -> None:
    runs = [("a", 0.1), ("b", 0.1), ("a", 0.9), ("a", 0.8), ("unknown", 0.9)]
    quiet = case_result("a", scores=[0.9])
    quiet["invocation"]["turns"] = []
    spoken = [case_result(case, turn(f"{score}"), scores=[score]) for case, score in runs]
    source = write_lines(tmp_path / "runs.jsonl", *spoken, quiet)
    sets = eval_set(tmp_path / "set.json", "ab")
    options = pe.ExportOptions(format_, target="trl", quality_threshold=0.5, prompts=sets, missing_prompt="skip")
    report = pe.export(source, tmp_path / "out.jsonl", options)
    assert report.dropped == {"below_threshold": 2, "missing_prompt": 1, "no_answer": 1}
    assert report.examples == {
        "below_threshold": (None, "a"),
        "missing_prompt": (None, "unknown"),
        "no_answer": (None, "a"),
    }
