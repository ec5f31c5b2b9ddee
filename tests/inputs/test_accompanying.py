"""Files that belong to a source: a search passes them over without a word, whatever dialect says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import polars_export as pe
from polars_export.inputs.first_keys import FirstKeys
from polars_export.inputs.message_rows import MessageRows
from polars_export.sources.stream import ByteStream
from polars_export.sources.window import CHUNK_BYTES, Window
from tests.builders import write_lines
from tests.inputs.trajectories import write

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from pathlib import Path

ROW = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
OPTIONS = pe.ExportOptions(format="chatml", target="trl")


@pytest.fixture
def _reports_accompany(monkeypatch: pytest.MonkeyPatch) -> None:
    def accompanies(_dialect: MessageRows, path: str, keys: AbstractSet[str]) -> bool:
        return path.endswith("report.jsonl") and "resolved" in keys

    monkeypatch.setattr(MessageRows, "accompanies", accompanies)


def write_folder(folder: Path) -> Path:
    folder.mkdir()
    write_lines(folder / "a.jsonl", ROW)
    write_lines(folder / "a.report.jsonl", {"resolved": True})
    write_lines(folder / "b.report.jsonl", {"resolved": True, **ROW})
    write_lines(folder / "c.report.jsonl", {"other": True})
    return folder


@pytest.mark.usefixtures("_reports_accompany")
def test_what_accompanies_a_source_is_passed_over_and_not_named(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in")
    report = pe.export(folder, tmp_path / "out.jsonl", OPTIONS)
    assert (report.traces_read, [*report.skipped_files]) == (1, [str(folder / "c.report.jsonl")])
    assert len(pe.read(folder).traces) == 1


@pytest.mark.usefixtures("_reports_accompany")
def test_it_is_read_where_it_is_named_or_another_input_is_asked_for(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in")
    assert len(pe.read(folder / "b.report.jsonl").traces) == 1
    with pytest.raises(pe.InputError):
        pe.read(folder / "a.report.jsonl")
    options = pe.ExportOptions(format="chatml", input="eval-results", target="trl")
    with pytest.raises(pe.SourceError):
        pe.export(folder, tmp_path / "out.jsonl", options)  # nobody who is asked says that it accompanies anything


@pytest.mark.usefixtures("_reports_accompany")
def test_where_nothing_else_is_found_the_error_says_what_the_file_is(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_lines(folder / "a.report.jsonl", {"resolved": True})
    for read in (lambda: pe.read(folder), lambda: pe.export(folder, tmp_path / "out.jsonl", OPTIONS)):
        with pytest.raises(pe.SourceError, match=r"a\.report\.jsonl: it belongs to traces that were not searched"):
            read()


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (b' {"a": 1, "b": {"c": 2}, "a": 3}\n{"d": 1}', {"a", "b"}),
        (b'{"a": 1, "b": ', {"a", "b"}),
        (b'{"a": 1, b', {"a"}),
        (b'[{"a": 1}]', set()),
        (b"PK\x03\x04", set()),
        (b"", set()),
    ],
)
def test_the_first_keys_of_a_source_end_where_it_is_damaged(tmp_path: Path, text: bytes, keys: set[str]) -> None:
    path = tmp_path / "x"
    path.write_bytes(text)
    with ByteStream(str(path)) as stream:
        found = FirstKeys(Window(stream))
        assert "z" not in found
        assert set(found) == keys
        assert keys <= found


def test_no_more_is_read_than_the_window_holds(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b'{"a": 1, "b": "' + b"x" * 3 * CHUNK_BYTES + b'", "c": 1}')
    with ByteStream(str(path)) as stream:
        window = Window(stream)
        found = FirstKeys(window)
        assert [*found] == ["a", "b"]
        assert "c" not in found
        assert found & {"a", "c"} == {"a"}
        assert len(window) == CHUNK_BYTES


def test_the_report_of_a_run_accompanies_its_trajectories_and_no_other_report_does(tmp_path: Path) -> None:
    history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "thought": "", "action": ""}]
    for name in ("run/one/one.traj", "flat/two.traj"):
        write(tmp_path / "in" / name, {"history": history, "trajectory": [], "info": {}})
    for name in ("run/report.json", "run/preds.json", "flat/report.json", "other/report.json"):
        write(tmp_path / "in" / name, {"one": {"resolved": True}})
    write(tmp_path / "in/artifact/report.json", {"schema_version": 1, "cases": []})
    report = pe.export(tmp_path / "in", tmp_path / "out.jsonl", OPTIONS)
    named = [path.removeprefix(f"{tmp_path}/in/") for path in report.skipped_files]
    assert (report.traces_read, named) == (2, ["artifact/report.json", "other/report.json"])


def test_the_index_of_a_folder_of_simulations_is_not_named(tmp_path: Path) -> None:
    messages = [{"role": "assistant", "content": "Hi."}, {"role": "user", "content": "a"}]
    simulation = {"id": "s", "task_id": "1", "trial": 0, "termination_reason": "stop", "messages": messages}
    write(tmp_path / "in/simulations/1.json", simulation)
    write(tmp_path / "in/results.json", {"info": {}, "tasks": [], "simulation_index": []})
    report = pe.export(tmp_path / "in", tmp_path / "out.jsonl", OPTIONS)
    assert (report.traces_read, report.skipped_files) == (1, {})
