"""Every example in the README is true."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import polars as pl
import pytest

import polars_export as pe
from polars_export.cli import cli, main
from polars_export.targets import format_names, targets

if TYPE_CHECKING:
    from polars_export.targets import Target

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RECORDS = (ROOT / "polars_export/formats/RECORDS.md").read_text(encoding="utf-8")
MOST_LINES = 250


def block(mark: str) -> str:
    """Return the code block behind a mark such as `<!-- example: input -->`."""
    found = re.search(rf"^<!-- {re.escape(mark)} -->\n```\w+\n(.*?)^```$", README + RECORDS, re.MULTILINE | re.DOTALL)
    assert found, mark
    return found[1]


def write_examples() -> None:
    """Write the files of the examples to the current directory."""
    Path("runs.jsonl").write_text(json.dumps(json.loads(block("example: input"))), encoding="utf-8")
    for file in ("set.json", "tools.json", "answers.jsonl"):
        Path(file).write_text(block(f"example: {file}"), encoding="utf-8")


def test_the_example_record_is_what_the_command_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_examples()
    command = re.search(r"^`polars-export (export runs\.jsonl .*?)`", README, re.MULTILINE)
    assert command
    assert main(shlex.split(command[1])) == 0
    wrapped = block("example: output")
    written = Path("train.jsonl").read_text(encoding="utf-8")
    assert written == "".join(line.removeprefix(" ") for line in wrapped.splitlines()) + "\n"


def test_the_example_of_show_is_what_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_examples()
    for pattern in (r"export runs\.jsonl .*?", r"show train\.jsonl"):
        command = re.search(f"`polars-export ({pattern})`", README)
        assert command
        assert main(shlex.split(command[1])) == 0
    assert capfd.readouterr().out == block("example: show")


def test_the_readme_is_short() -> None:
    assert README.count("\n") <= MOST_LINES


CELLS = re.findall(r"^<!-- record: (\S+) (\S+) -->$", RECORDS, re.MULTILINE)


def test_a_record_of_every_cell_is_shown() -> None:
    assert sorted(CELLS) == sorted((name, format_) for name, target in targets().items() for format_ in target.offered)


def offered(target: Target, name: str) -> str:
    return ", ".join(f"`{key}`" for key in target.format(name).keys) if name in target.offered else "–"  # noqa: RUF001 - as tables are set


def test_the_table_of_formats_and_targets_is_what_the_targets_tell() -> None:
    heads = [
        f"`{name}`" + (f" (also {', '.join(target.also_for)})" if target.also_for else "")
        for name, target in targets().items()
    ]
    rows = [[f"`{name}`", *(offered(target, name) for target in targets().values())] for name in format_names()]
    table = [["`--format`", *heads], ["---"] * (1 + len(heads)), *rows]
    assert "".join(f"| {' | '.join(cells)} |\n" for cells in table) in README


@pytest.mark.parametrize(("target", "name"), CELLS)
def test_the_record_of_a_cell_is_what_its_command_writes(
    target: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_examples()
    command = re.search(rf"^`polars-export (export .*)`\n\n<!-- record: {target} {name} -->$", RECORDS, re.MULTILINE)
    assert command
    assert main(shlex.split(command[1])) == 0
    wrapped = block(f"record: {target} {name}")
    written = Path(f"{target}-{name}.jsonl").read_text(encoding="utf-8")
    assert written == "".join(line.removeprefix(" ") for line in wrapped.splitlines()) + "\n"


def test_the_command_for_a_repository_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = re.search(r"^polars-export (export data .*)$", README, re.MULTILINE)
    assert command
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(command[1])) == 0
    assert sorted(path.name for path in Path("airline").iterdir()) == ["README.md", "data", "manifest.json"]


def test_the_python_example_runs(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(ROOT / "data")
    done = subprocess.run(
        [sys.executable, "-c", block("example: python")], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[0].endswith("}")
    assert "respond_to_user" in done.stdout
    assert (tmp_path / "best.parquet").exists()


@pytest.mark.parametrize("mark", ["command: run", "command: test"])
def test_the_commands_are_single_lines(mark: str) -> None:
    assert block(mark).count("\n") == 1


def test_every_option_and_format_is_in_the_tables() -> None:
    parameters = [parameter for command in cli.commands.values() for parameter in command.params]
    options = [name for parameter in parameters for name in parameter.opts if name.startswith("--")]
    assert [name for name in options if f"`{name}" not in README] == []
    assert [name for name in format_names() if f"| `{name}` |" not in README] == []


def test_the_rooms_of_the_house_exist() -> None:
    section = (ROOT / "polars_export/README.md").read_text(encoding="utf-8").split("## ")[0]
    rows = re.findall(r"^\| (`.+?) \| (.*) \|$", section, re.MULTILINE)
    rooms = [(room, known) for named, known in rows for room in re.findall(r"`([a-z]+(?:\.py|/))`", named)]
    assert [room for room, _ in rooms if not (ROOT / "polars_export" / room).exists()] == []
    assert len(rooms) >= 12
    inside = [f"{room}{file}" for room, known in rooms for file in re.findall(r"`([a-z]+\.py)`", known)]
    assert [path for path in inside if not (ROOT / "polars_export" / path).exists()] == []


def page_of_columns(name: str, columns: tuple[pe.Column, ...]) -> str:
    """Return the table of the columns of a table, as the page of the tables has it."""
    rows = "".join(f"| `{column.name}` | {type_name(column.dtype)} | {column.doc} |\n" for column in columns)
    return f"## `{name}`\n\n| column | type | what it is |\n| --- | --- | --- |\n{rows}"


def type_name(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.List):
        return f"list of {type_name(cast('pl.DataType', dtype.inner))}"
    if isinstance(dtype, pl.Struct):
        return f"struct of {', '.join(f'`{field.name}`' for field in dtype.fields)}"
    return str(dtype)


def test_the_page_of_the_tables_has_their_columns() -> None:
    page = (ROOT / "polars_export/tables/README.md").read_text(encoding="utf-8")
    assert page.endswith(page_of_columns("traces", pe.TRACES) + "\n" + page_of_columns("turns", pe.TURNS))
