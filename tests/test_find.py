"""Files are found by path, glob and search, each once; a search names those that it skips for their content."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Sequence  # noqa: TC003
from pathlib import Path

import pytest

import polars_export as pe
from polars_export.inputs import detect
from polars_export.inputs.find import find_sources
from polars_export.sources import segments
from tests.builders import case_result, document, exported_record, write_document, write_lines
from tests.faults.accounts import zstd


def cases(source: object) -> list[str]:
    return pe.read_traces(source)["case_id"].to_list()  # type: ignore[arg-type]


def test_a_directory_is_searched_and_sorted_by_path(tmp_path: Path) -> None:
    (tmp_path / "deep/er").mkdir(parents=True)
    write_document(tmp_path / "b.json", case_result("b"))
    write_lines(tmp_path / "deep/er/c.ndjson", case_result("c"))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(json.dumps(case_result("a")).encode()))
    (tmp_path / "deep/d.json.zst").write_bytes(zstd(json.dumps(document(case_result("d"))).encode()))
    (tmp_path / "notes.txt").write_text("not a source", encoding="utf-8")
    assert cases(tmp_path) == ["a", "b", "d", "c"]


def test_of_an_eval_store_only_the_results_are_read(tmp_path: Path) -> None:
    for folder in ("results/set", "sets", "other"):
        (tmp_path / folder).mkdir(parents=True)
    write_document(tmp_path / "results/set/1.json", case_result("in"))
    write_document(tmp_path / "other/1.json", case_result("out"))
    (tmp_path / "sets/set.json").write_text('{"id": "set", "cases": []}', encoding="utf-8")
    assert cases(tmp_path) == ["in"]


def test_a_search_skips_files_of_other_kinds_and_names_them(tmp_path: Path) -> None:
    write_document(tmp_path / "run.json", case_result("a"))
    report = tmp_path / "report.json"
    report.write_text('{"schema_version": 1, "cases": []}', encoding="utf-8")
    done = pe.export(tmp_path, tmp_path.with_suffix(".jsonl"))
    assert done.skipped_files == {
        str(report): "a report artifact holds no traces; export the eval results that it was made from"
    }
    assert done.traces_read == 1


@pytest.mark.parametrize("name", ["chatml", "dpo"])
def test_a_search_that_finds_only_other_kinds_is_an_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text('{"schema_version": 1, "cases": []}', encoding="utf-8")
    for source in (tmp_path, [tmp_path, tmp_path]):
        with pytest.raises(pe.SourceError, match=r"report\.json: a report artifact holds no traces"):
            cases(source)
        with pytest.raises(pe.SourceError, match=r"report\.json: a report artifact holds no traces"):
            pe.export(source, tmp_path.with_suffix(".jsonl"), pe.ExportOptions(name))


@pytest.mark.parametrize("name", ["chatml", "dpo"])
def test_files_skipped_in_several_parts_are_all_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", 1_000)
    for number in range(3):
        write_lines(tmp_path / f"{number}-run.json", case_result("a"), case_result("a"))
        (tmp_path / f"{number}-set.json").write_text('{"id": "s", "cases": []}', encoding="utf-8")
    done = pe.export(tmp_path, tmp_path.with_suffix(".jsonl"), pe.ExportOptions(name))
    assert [Path(path).name for path in done.skipped_files] == ["0-set.json", "1-set.json", "2-set.json"]
    assert done.traces_read == 6


@pytest.mark.parametrize("on_error", ["fail", "skip"])
@pytest.mark.parametrize("name", ["chatml", "dpo"])
def test_a_large_file_of_another_kind_is_searched_for_traces_once(
    name: str, on_error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[str] = []

    def spy(source: str, markers: Sequence[bytes]) -> bool:
        searched.append(source)
        return has_markers(source, markers)

    has_markers = detect._has_markers  # noqa: SLF001 - how often it reads all of a file
    monkeypatch.setattr(detect, "_has_markers", spy)
    monkeypatch.setattr(segments, "PART_BYTES", 1_000)
    (tmp_path / "in").mkdir()
    write_lines(tmp_path / "in/runs.jsonl", case_result("a"), case_result("a"))
    records = write_lines(tmp_path / "in/records.jsonl", *[exported_record()] * 100)
    done = pe.export(tmp_path / "in", tmp_path / "out.jsonl", pe.ExportOptions(name, on_error=on_error))
    assert done.skipped_files == {str(records): "the records of an export hold no traces"}
    assert (done.traces_read, done.dropped) == (2, {})
    assert searched == [str(records)]
    with pytest.raises(pe.SourceError, match=r"records\.jsonl: the records of an export hold no traces"):
        pe.export(records, tmp_path / "out.jsonl", pe.ExportOptions(name))


def test_a_search_stops_at_a_file_whose_first_line_alone_is_no_trace(tmp_path: Path) -> None:
    write_document(tmp_path / "run.json", case_result("a"))
    write_lines(tmp_path / "runs.jsonl", {"header": 1}, case_result("b"))
    with pytest.raises(pe.SourceError, match=r"runs\.jsonl: expected eval results"):
        cases(tmp_path)


def test_a_search_skips_a_manifest_and_names_it(tmp_path: Path) -> None:
    write_document(tmp_path / "run.json", case_result("a"))
    (tmp_path / "manifest.json").write_text('{"sources": [], "options": {}}', encoding="utf-8")
    done = pe.export(tmp_path, tmp_path.with_suffix(".jsonl"))
    assert done.traces_read == 1
    assert done.skipped_files == {
        str(
            tmp_path / "manifest.json"
        ): "expected eval results or rows with a list of messages (see --input and --map), "
        "found an object with options, sources"
    }
    with pytest.raises(pe.SourceError, match="found an object with options, sources"):
        cases(tmp_path / "manifest.json")


def test_a_search_skips_hidden_files_and_folders(tmp_path: Path) -> None:
    for folder in (".cache/deep", "runs/.git", ".polars-export-0123"):
        (tmp_path / folder).mkdir(parents=True)
        write_lines(tmp_path / folder / "x.jsonl", case_result("hidden"))
    write_lines(tmp_path / "runs/.x.jsonl", case_result("hidden"))
    write_lines(tmp_path / "runs/x.jsonl", case_result("seen"))
    done = pe.export(tmp_path, tmp_path.with_suffix(".jsonl"))
    assert (done.traces_read, done.skipped_files) == (1, {})
    assert cases(f"{tmp_path}/**") == ["seen"]
    (tmp_path / "runs/x.jsonl").unlink()
    with pytest.raises(pe.SourceError, match="the directory holds no traces"):
        cases(tmp_path)


def test_hidden_files_and_folders_can_be_named(tmp_path: Path) -> None:
    (tmp_path / ".cache/deep").mkdir(parents=True)
    write_lines(tmp_path / ".cache/deep/a.jsonl", case_result("a"))
    write_lines(tmp_path / ".b.jsonl", case_result("b"))
    assert cases(tmp_path / ".cache") == ["a"]
    assert cases(tmp_path / ".b.jsonl") == ["b"]
    assert cases(f"{tmp_path}/.*.jsonl") == ["b"]
    assert cases(f"{tmp_path}/.c*") == ["a"]


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_a_search_and_a_glob_read_a_file_once_that_is_also_there_as_a_link(
    link: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.jsonl", "c.jsonl"):
        write_lines(tmp_path / name, case_result(name[0]))
    link(tmp_path / "b.jsonl", tmp_path / "deep/b.jsonl")
    link(tmp_path / "c.jsonl", tmp_path / "a.jsonl")
    assert cases(tmp_path) == ["c", "b"]
    assert [Path(found.path).name for found in find_sources(tmp_path)] == ["a.jsonl", "b.jsonl"]
    assert cases(f"{tmp_path}/*.jsonl") == ["c", "b"]
    assert cases(f"{tmp_path}/**") == ["c", "b"]
    assert cases([tmp_path / "c.jsonl", tmp_path / "a.jsonl"]) == ["c", "c"]
    assert cases([tmp_path, tmp_path / "c.jsonl"]) == ["c", "b", "c"]


def test_a_link_to_a_hidden_file_or_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/.blobs").mkdir()
    write_lines(tmp_path / "in/.blobs/0123", case_result("a"))
    write_lines(tmp_path / "in/.blobs/b.jsonl", case_result("b"))
    (tmp_path / "in/a.jsonl").symlink_to(".blobs/0123")
    (tmp_path / "in/more").symlink_to(".blobs", target_is_directory=True)
    assert cases(tmp_path / "in") == ["a", "b"]


def test_a_search_skips_the_records_of_an_export(tmp_path: Path) -> None:
    write_lines(tmp_path / "runs.jsonl", *[case_result(scores=[score]) for score in (0.1, 0.9)])
    for name in ("chatml", "dpo", "sharegpt"):
        records = tmp_path.with_suffix(".jsonl")
        assert pe.export(tmp_path, records, pe.ExportOptions(name)).traces_read == 2
        records.rename(tmp_path / f"{name}.jsonl")


def test_a_link_that_leads_back_is_not_followed_twice(tmp_path: Path) -> None:
    (tmp_path / "runs/more").mkdir(parents=True)
    write_document(tmp_path / "elsewhere.json", case_result("a"))
    write_document(tmp_path / "runs/more/run.json", case_result("b"))
    (tmp_path / "runs/more/back").symlink_to(tmp_path / "runs", target_is_directory=True)
    (tmp_path / "linked").symlink_to(tmp_path / "runs", target_is_directory=True)
    assert cases(tmp_path / "runs") == ["b"]
    assert cases(tmp_path / "linked") == ["b"]


def test_a_folder_that_is_also_there_as_a_link_is_searched_once(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    write_lines(tmp_path / "runs/b.jsonl", case_result("b"))
    (tmp_path / "latest").symlink_to("runs", target_is_directory=True)
    assert [found.path for found in find_sources(tmp_path)] == [str(tmp_path / "latest/b.jsonl")]


def test_a_file_that_is_named_twice_is_read_twice(tmp_path: Path) -> None:
    run = write_lines(tmp_path / "a.jsonl", case_result("a"))
    assert cases([run, run]) == ["a", "a"]
    assert cases([tmp_path, tmp_path]) == ["a", "a"]
    assert cases([tmp_path, f"{tmp_path}/*"]) == ["a", "a"]


def test_a_glob_that_matches_a_directory_and_its_files_reads_them_once(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    write_lines(tmp_path / "a.jsonl", case_result("a"))
    write_lines(tmp_path / "x/b.jsonl", case_result("b"))
    assert cases(f"{tmp_path}/**") == ["a", "b"]


def test_names_that_are_too_long_or_not_utf_8(tmp_path: Path) -> None:
    with pytest.raises(pe.SourceError, match="File name too long"):
        cases(tmp_path / ("x" * 300))
    source = write_lines(tmp_path / "run-\udcff.jsonl", case_result("a"))
    assert pe.read_traces(source)["source"].item().endswith("run-\\udcff.jsonl")


def test_a_glob_is_sorted_and_may_descend(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    for name in ("b.jsonl", "a.jsonl", "x/c.jsonl"):
        write_lines(tmp_path / name, case_result(Path(name).stem))
    assert cases(f"{tmp_path}/*.jsonl") == ["a", "b"]
    assert cases(f"{tmp_path}/**/*.jsonl") == ["a", "b", "c"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    write_lines(tmp_path / "run[1].jsonl", case_result("a"))
    assert cases(tmp_path / "run[1].jsonl") == ["a"]


def test_what_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(pe.SourceError, match=r"nowhere\.json: no such file or directory"):
        cases(tmp_path / "nowhere.json")
    with pytest.raises(pe.SourceError, match="no file matches"):
        cases(f"{tmp_path}/*.json")
    with pytest.raises(pe.SourceError, match="the directory holds no traces"):
        cases(tmp_path)
    (tmp_path / "a*b.json").symlink_to(tmp_path / "nowhere.json")
    with pytest.raises(pe.SourceError, match=r"a\*b\.json: no such file or directory"):
        cases(tmp_path / "a*b.json")
