"""Resumed or started over: what a killed export had written is used where nothing has changed, and only there."""

from __future__ import annotations

import os
import shutil
import signal
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from tests import rowwise
from tests.builders import case_result, turn
from tests.faults.accounts import WORK_DIRECTORY, check_account, lines_of, read_rejects
from tests.faults.processes import (
    PART_WRITTEN,
    PATIENCE,
    Scene,
    found_in,
    options,
    runs,
    small_parts,
    start,
    undisturbed,
    wait_for_the_last_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("resumed") / "runs.jsonl"
    path.write_bytes(runs(300))
    return path


@pytest.fixture(scope="module", params=["out.jsonl", pytest.param("out", marks=pytest.mark.long)])
def killed(source: Path, request: pytest.FixtureRequest) -> Scene:
    """Kill an export when it has read more than half of its source."""
    old = {request.param if "." in request.param else "data/old.jsonl": b"old"}
    scene = Scene(source, source.with_name(f"killed {request.param}") / request.param, "skip", old, {})
    scene.set_up()
    with start(*scene.arguments(), change=8, like=PART_WRITTEN) as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL
        wait_for_the_last_of(process.pid)
    assert scene.state() == "old"
    assert len(scene.check_left()) == 1
    return scene


@pytest.fixture
def scene(killed: Scene, tmp_path: Path) -> Scene:
    """Copy what the killed export has left."""
    shutil.copytree(killed.output.parent, tmp_path / "out")
    scene = Scene(killed.source, tmp_path / "out" / killed.output.name, "skip", killed.old, {})
    assert len(scene.check_left()) == 1
    return scene


@pytest.fixture(autouse=True)
def _source_is_put_back(source: Path) -> Iterator[None]:
    """Put back the very file, of the time that it was last written at: so it is again the one that was read."""
    data, times = source.read_bytes(), (source.stat().st_atime_ns, source.stat().st_mtime_ns)
    kept = source.with_name("kept")
    kept.hardlink_to(source)
    yield
    kept.write_bytes(data)
    os.utime(kept, ns=times)
    source.unlink()  # or renaming one name of a file to another would do nothing
    kept.rename(source)


def resume(scene: Scene, **changed: Any) -> pe.ExportReport:  # noqa: ANN401 - options
    """Resume an export, and compare its output with that of an export that starts over."""
    asked = options(scene.output, **{"on_error": "skip", **changed}, resume=True)
    with small_parts():
        report = pe.export(scene.source, scene.output, asked)
    check_account(report, scene.output, asked)
    same_bytes = {name: value for name, value in changed.items() if name != "workers"}
    fresh = undisturbed_output(scene.source, scene.source.read_bytes(), scene.output.name, tuple(same_bytes.items()))
    assert found_in(scene.output) == found_in(fresh)
    if not scene.into_directory:
        rejects = [read_rejects(path.with_name("rejects.jsonl")) for path in (scene.output, fresh)]
        assert rejects[0] == rejects[1]
    assert not list(scene.output.parent.glob(WORK_DIRECTORY))
    return report


@cache
def undisturbed_output(source: Path, _data: bytes, name: str, changed: tuple[tuple[str, Any], ...]) -> Path:
    """Export what a source holds now, undisturbed, once for all tests that compare with that."""
    output = Path(mkdtemp(dir=source.parent)) / name
    undisturbed(source, output, options(output, **{"on_error": "skip", **dict(changed)}))
    return output


def test_an_unchanged_export_is_resumed(scene: Scene) -> None:
    report = resume(scene)
    assert 0.2 * report.traces_read < report.resumed < 0.8 * report.traces_read


def test_it_is_resumed_with_another_number_of_workers(scene: Scene) -> None:
    assert resume(scene, workers=2).resumed > 0


def test_a_source_that_was_changed_since_is_read_again(scene: Scene) -> None:
    lines = scene.source.read_bytes()
    changed = lines.replace(b"word word", b"Word Word", 1)
    assert len(changed) == len(lines)
    scene.source.write_bytes(changed)
    assert resume(scene).resumed == 0


def test_a_source_that_was_touched_since_is_read_again(scene: Scene) -> None:
    scene.source.touch()
    assert resume(scene).resumed == 0


def test_a_source_that_was_replaced_since_is_read_again(scene: Scene) -> None:
    times = scene.source.stat().st_atime_ns, scene.source.stat().st_mtime_ns
    other = scene.source.with_name("other.jsonl")
    other.write_bytes(scene.source.read_bytes().replace(b"word word", b"Word Word", 1))
    os.utime(other, ns=times)
    other.replace(scene.source)
    assert resume(scene).resumed == 0


def test_a_source_that_has_grown_since_is_read_to_its_end(scene: Scene) -> None:
    with scene.source.open("ab") as file:
        file.write(lines_of([case_result("new", turn("news"))]))
    assert resume(scene).traces_read == 301


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"format": "sharegpt"}, id="format"),
        pytest.param({"quality_threshold": 0.5}, id="threshold", marks=pytest.mark.long),
        pytest.param({"include_metadata": False}, id="metadata", marks=pytest.mark.long),
        pytest.param({"max_record_bytes": 1_100}, id="record size"),
        pytest.param({"max_shard_bytes": "50KB"}, id="shard size", marks=pytest.mark.long),
        pytest.param({"file_type": "jsonl"}, id="file type"),
    ],
)
def test_with_other_options_it_starts_over(changed: dict[str, Any], scene: Scene) -> None:
    if not scene.into_directory and changed.keys() & {"max_shard_bytes", "file_type"}:
        with pytest.raises(pe.OptionError, match="is for a dataset repository"):
            resume(scene, **changed)
        return
    assert resume(scene, **changed).resumed == 0


def test_where_bad_records_are_not_skipped_any_more_the_first_stops_the_export(scene: Scene) -> None:
    with small_parts(), pytest.raises(pe.BadRecordError, match=r"runs\.jsonl:43: "):
        pe.export(scene.source, scene.output, options(scene.output, "fail", resume=True))
    assert scene.state() == "old"
    assert scene.check_left() == []


@pytest.mark.parametrize("name", ["journal", "key", "lock", "new", "beside"])
def test_without_a_piece_of_what_was_left_it_starts_over_or_is_refused(name: str, scene: Scene) -> None:
    (work,) = scene.check_left()
    if (work / name).is_dir():
        shutil.rmtree(work / name)
    else:
        (work / name).unlink()
    try:
        resume(scene)
    except pe.OutputError:
        assert scene.state() == "old"
        resume(scene)


@pytest.mark.parametrize("at", [0.0, 0.3, 0.99])
def test_with_half_an_entry_in_its_journal_it_goes_on_from_there(at: float, scene: Scene) -> None:
    (work,) = scene.check_left()
    os.truncate(work / "journal", int((work / "journal").stat().st_size * at))
    report = resume(scene)
    assert report.resumed > 0 or at == 0


def test_with_nothing_to_take_up_resuming_is_an_export_like_any(source: Path, tmp_path: Path) -> None:
    expected = undisturbed(source, tmp_path / "out.jsonl", options(tmp_path / "out.jsonl", "skip"))
    with small_parts():
        report = pe.export(source, tmp_path / "other.jsonl", options(tmp_path / "other.jsonl", "skip", resume=True))
    assert report.resumed == 0
    assert (tmp_path / "other.jsonl").read_bytes() == expected["out.jsonl"]


@pytest.mark.long
def test_into_a_compressed_file_it_begins_anew(source: Path, tmp_path: Path) -> None:
    scene = Scene(source, tmp_path / "out/out.jsonl.zst", "skip", {}, {})
    scene.set_up()
    with start(*scene.arguments(), share=0.6) as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL
        wait_for_the_last_of(process.pid)
    assert resume(scene).resumed == 0


@pytest.mark.parametrize("change", [2, *(pytest.param(change, marks=pytest.mark.long) for change in (1, 7))])
def test_pairs_are_resumed_too(change: int, tmp_path: Path) -> None:
    good = [case_result(f"case {n // 2}", turn("word " * 50 + str(n)), scores=[0.5 + n % 2]) for n in range(300)]
    scene = Scene(tmp_path / "runs.jsonl", tmp_path / "out/out.jsonl", "skip", {}, {})
    scene.source.write_bytes(lines_of(good))
    scene.set_up()
    arguments = scene.arguments()
    arguments[arguments.index("chatml")] = "dpo"
    with start(*arguments, change=change, like=PART_WRITTEN) as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL
        wait_for_the_last_of(process.pid)
    scene.check_left()
    assert (resume(scene, format="dpo").resumed > 0) == (change > 1)
    assert scene.output.read_bytes() == rowwise.export(good, "dpo", 0.25)
