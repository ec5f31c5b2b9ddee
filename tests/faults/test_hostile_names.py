"""Hostile text in ids, names and paths stays text on its way into cards, manifests, rejects and terminals."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import polars_export as pe
from polars_export.cli import main
from tests.builders import case_result, document, turn
from tests.faults.accounts import export, lines_of, read_rejects

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Json = dict[str, Any]

HOSTILE = {
    "YAML": "a: b\n- c: !!python/object/apply:os.system ['x'] # & * {{}}",
    "the end of YAML": "x\n---\nconfigs: []\n---\n# Hijacked",
    "a document end": "...\n---",
    "Markdown": "# Heading\n\n* [link](javascript:alert(1)) ![x](http://x/y.png) | a | b |\n|---|---|",
    "a code fence": "```\n# Heading\n````\n~~~~~~~~~~~~~~~~\n# Heading\n~~~",
    "a long code fence": "`" * 40 + "\n# Heading\n" + "`" * 40,
    "HTML": "</pre></code><script>alert(1)</script><img src=x onerror=alert(1)><!--",
    "path separators": "../../../../etc/passwd\\..\\x/\0/.",
    "control characters": "\x00\x07\x1b[2J\x1b]0;x\x07\r\n\x7f\x85\u2028\u202e\ufeff",
    "quotes": "'\"`\\\\\"'%s{0}$HOME",
    "nothing": "",
    "a long name": "x" * 5_000,
}


def hostile_run(text: str, score: float) -> Json:
    trace = case_result(text, turn("Hello.", provider=text, model_id=text), scores=[score])
    trace["invocation"]["model"]["model_id"] = text
    return trace


def repository(folder: Path, text: str, format_name: str) -> Path:
    folder.mkdir()
    runs = [hostile_run(text, score) for score in (0.25, 1.0)]
    source = folder / "run.json"
    source.write_text(json.dumps(document(*runs, {"case_id": 3}, eval_set_id=text)), encoding="utf-8")
    target = "trl" if format_name == "kto" else "reference"
    options = pe.ExportOptions(format_name, target=target, on_error="skip", file_type="jsonl", missing_prompt="keep")
    report = export(source, folder / "set", options)
    assert report.exported == 2
    return folder / "set"


def structure(card: str) -> list[str]:
    """Return what gives a card its shape: headings, fences, tables and tags, outside of what is fenced."""
    found: list[str] = []
    fence = ""
    for line in card.split("\n"):
        mark = re.match(r" {0,3}(`{3,}|~{3,})", line)
        if fence:
            if mark and mark[1][0] == fence[0] and len(mark[1]) >= len(fence) and not line.strip(" `~"):
                fence = ""
            continue
        if mark:
            fence = mark[1]
            found.append("fence")
        elif match := re.match(r" {0,3}(#{1,6} .*|\|.*|-{3,}$|={3,}$|\.{3}$)", line):
            found.append("|" * line.count("|") if match[1].startswith("|") else match[1])
    assert not fence
    return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Return the card of a dataset whose names are as names mostly are."""

    @cache
    def card(format_name: str) -> str:
        folder = repository(tmp_path_factory.mktemp("plain") / "plain", "plain", format_name)
        return (folder / "README.md").read_bytes().decode()

    return card


@pytest.mark.parametrize(
    ("name", "format_name"),
    [*((name, "chatml") for name in HOSTILE), ("a code fence", "dpo"), ("the end of YAML", "kto"), ("HTML", "kto")],
)
def test_hostile_ids_do_not_break_the_card(
    name: str, format_name: str, plain: Callable[[str], str], tmp_path: Path
) -> None:
    folder = repository(tmp_path / "hostile", HOSTILE[name], format_name)
    card = (folder / "README.md").read_bytes().decode()
    (front, body), (plain_front, plain_body) = front_and_body(card), front_and_body(plain(format_name))
    for its in (front, plain_front):
        its["dataset_info"] = shape(its["dataset_info"])
    assert front == plain_front
    assert structure(body) == structure(plain_body)
    assert not re.search(r"<(script|img|!--|/pre|/code)", outside_code(body))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", card)


def front_and_body(card: str) -> tuple[Json, str]:
    """Take a card apart as the hub does: YAML from the first line to the next `---`."""
    match = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    assert match
    front = yaml.safe_load(match[1])
    assert isinstance(front, dict)
    return front, card[match.end() :]


def shape(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    """Return a value without its numbers, which the length of texts decides."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else 0 if isinstance(value, int) else value


def outside_code(body: str) -> str:
    """Return a text without what a reader of Markdown shows as it is: fenced blocks, and spans of code."""
    body = re.sub(r"(?ms)^(`{3,}|~{3,})[^\n]*\n.*?^\1[`~]*$", "", body)
    paragraphs = body.split("\n\n")
    return "\n\n".join(re.sub(r"(?s)(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", "", paragraph) for paragraph in paragraphs)


@pytest.mark.parametrize("name", ["path separators", "control characters", "nothing"])
def test_hostile_ids_stand_in_the_files_as_they_are(name: str, tmp_path: Path) -> None:
    text = HOSTILE[name]
    folder = repository(tmp_path / "hostile", text, "chatml")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "data", "manifest.json", "rejects.jsonl"]
    assert [path.name for path in (folder / "data").iterdir()] == ["train-00000-of-00001.jsonl"]
    assert json.loads((folder / "manifest.json").read_bytes())["sources"]
    for line in (folder / "data/train-00000-of-00001.jsonl").read_bytes().splitlines():
        record = json.loads(line)
        assert (record["metadata"]["case_id"], record["metadata"]["model_id"]) == (text, text)


@pytest.mark.parametrize(
    "name", ["x\n---\n# y.jsonl", "<script>`|*.jsonl", "\x1b[31m'\".jsonl", "{{x}}: !!a.jsonl", "\udcff.jsonl"]
)
def test_hostile_names_of_sources_do_not_break_the_card(name: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = tmp_path / "in" / name
    source.write_bytes(lines_of([case_result()]) + b"{\n")
    report = export(source, tmp_path / "set", pe.ExportOptions("chatml", on_error="skip"))
    assert (report.exported, report.dropped) == (1, {"invalid": 1})
    front, body = front_and_body((tmp_path / "set/README.md").read_bytes().decode())
    assert front["configs"]
    assert "# y" not in structure(body)
    assert "<script>" not in outside_code(body)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", body)
    json.loads((tmp_path / "set/manifest.json").read_bytes())
    (reject,) = read_rejects(tmp_path / "set/rejects.jsonl")
    assert reject["line"] == 2


def test_hostile_text_stays_on_the_one_line_of_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for text in HOSTILE.values():
        source = tmp_path / "lines.jsonl"
        trace = case_result("a")
        trace["invocation"] = text
        source.write_bytes(lines_of([trace]))
        command = ["export", str(source), "--format", "chatml", "--output", str(tmp_path / "out.jsonl")]
        assert main(command) == 4
        error = capfd.readouterr().err
        assert len(error.splitlines()) == 1
        assert error.rstrip("\n").isprintable()
