"""Traces of every recorder, exported for TRL, train; the files are real."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.kinds import KINDS
from tests.acceptance.test_trl import Trl
from tests.inputs.real_files import real_file

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Export, Foreign, Load

pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("default")]

SCORED = ["message-rows", "inspect", "tau2", "nemo-gym"]
FEW = 4  # rows that are enough where each is slow
LONGEST = 400  # characters of a message in training: nothing is learned from more here


@pytest.fixture(scope="module")
def trl(offline: None) -> Trl:  # noqa: ARG001 - the modules read the environment when imported
    return Trl([json.dumps({"role": "user", "content": "Where is order 7?"})] * 20)


def rows_of(kind: str, format_: str, export: Export, load: Load, *options: str) -> Foreign:
    return load(export(real_file(KINDS[kind]), "trl", format_, "--missing-prompt", "skip", *options))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_load_and_chat_templates_render_them(kind: str, export: Export, load: Load, trl: Trl) -> None:
    rows = rows_of(kind, "chatml", export, load)
    tokenizer = trl.tokenizer("qwen3")
    assert len(rows) > 0
    for row in rows.select(range(min(len(rows), FEW))):
        assert trl.helpers.is_conversational(row)
        rendered = trl.helpers.apply_chat_template({"messages": row["messages"]}, tokenizer, tools=row["tools"])["text"]
        assert row["messages"][-1]["role"] == "assistant"
        assert row["messages"][-1]["content"].strip() in rendered
        for message in row["messages"]:
            for call in message["tool_calls"] or []:
                assert isinstance(call["function"]["arguments"], dict)
                assert call["function"]["name"] in rendered


def shortened(rows: Foreign, *columns: str) -> Foreign:
    """Cut long texts and leave tools out: a step on a tiny model learns from what is left as well."""

    def cut(row: Foreign) -> Foreign:
        for column in columns:
            for message in row[column]:
                message["content"] = message["content"][:LONGEST]
            row[column] = row[column][:2] + row[column][-4:]
        return row

    return rows.select(range(min(len(rows), FEW))).remove_columns("tools").map(cut)


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_of_sft(kind: str, export: Export, load: Load, trl: Trl, tmp_path: Path) -> None:
    rows = shortened(rows_of(kind, "chatml", export, load), "messages")
    check_step(trl.train("SFT", rows, tmp_path, assistant_only_loss=True))


@pytest.mark.parametrize("kind", SCORED)
def test_one_step_of_kto(kind: str, export: Export, load: Load, trl: Trl, tmp_path: Path) -> None:
    rows = rows_of(kind, "kto", export, load, "--label-threshold", "0.5")
    assert set(rows["label"]) <= {True, False}
    check_step(trl.train("KTO", shortened(rows, "prompt", "completion"), tmp_path))


@pytest.mark.parametrize("kind", ["message-rows", "nemo-gym"])
def test_one_step_of_dpo(kind: str, export: Export, load: Load, trl: Trl, tmp_path: Path) -> None:
    source = two_runs(kind, tmp_path)
    rows = load(export(source, "trl", "dpo"))
    assert len(rows) == FEW
    check_step(trl.train("DPO", shortened(rows, "prompt", "chosen", "rejected"), tmp_path / "out"))


def two_runs(kind: str, folder: Path) -> Path:
    """Write each of some real runs twice: once as it is, once with another answer and a lower score."""
    text = real_file(KINDS[kind]).read_text(encoding="utf-8")
    runs = json.loads(text)[:FEW] if kind == "message-rows" else [json.loads(line) for line in text.splitlines()[:FEW]]
    lines = []
    for number, run in enumerate(runs):
        worse = json.loads(json.dumps(run))
        if kind == "message-rows":
            run["task_id"] = worse["task_id"] = number
            last = max(place for place, message in enumerate(worse["traj"]) if message["role"] == "assistant")
            worse["traj"][last] = {"role": "assistant", "content": "I do not know."}
        else:
            worse["response"]["output"][-1]["content"][0]["text"] = "I do not know."
        run["reward"], worse["reward"] = 1.0, 0.0
        lines += [json.dumps(each) + "\n" for each in (run, worse)]
    path = folder / "runs.jsonl"
    path.write_text("".join(lines), encoding="utf-8")
    return path


def check_step(trained: Foreign) -> None:
    step = next(entry for entry in trained.state.log_history if "grad_norm" in entry)
    assert 0 < step["loss"] < math.inf
    assert 0 <= step["grad_norm"] < math.inf
