"""Sources are read through the few calls of a store, and through nothing else."""

from __future__ import annotations

import gzip
import io
import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pytest

import polars_export as pe
from polars_export.sources import segments, store
from polars_export.sources.store import FileKind, FileStatus, Folder, LocalStore, store_for
from tests.builders import case_result, turn, write_document, write_lines

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BUCKET = "memory://bucket"


class MemoryStore:
    """Files in memory, as an object store holds them: by their full names. All other paths are local."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files
        self._local = LocalStore()

    def expand(self, pattern: str) -> list[str]:
        if not pattern.startswith(BUCKET):
            return self._local.expand(pattern)
        return sorted(name for name in self._files if fnmatchcase(name, pattern)) or [pattern]

    def list(self, folder: str) -> Folder:
        if not folder.startswith(BUCKET):
            return self._local.list(folder)
        below = [name.removeprefix(f"{folder}/").split("/") for name in self._files if name.startswith(f"{folder}/")]
        return Folder(
            sorted({names[0] for names in below if len(names) > 1}), [names[0] for names in below if len(names) == 1]
        )

    def status(self, path: str) -> FileStatus:
        if not path.startswith(BUCKET):
            return self._local.status(path)
        if path in self._files:
            return FileStatus(FileKind.FILE, len(self._files[path]), path, "1")
        if any(name.startswith(f"{path}/") for name in self._files):
            return FileStatus(FileKind.FOLDER, 0, path, "")
        raise FileNotFoundError(2, "No such object")

    def open(self, path: str) -> io.BufferedIOBase:
        return io.BytesIO(self._files[path]) if path.startswith(BUCKET) else self._local.open(path)

    def read_ranges(self, path: str, ranges: Iterable[tuple[int, int]]) -> bytes:
        if not path.startswith(BUCKET):
            return self._local.read_ranges(path, ranges)
        return b"".join(self._files[path][offset : offset + length] for offset, length in ranges)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An eval store with runs of every kind, its prompts, and files that a search skips."""
    for name in ("results/.hidden", "sets"):
        (tmp_path / "store" / name).mkdir(parents=True)
    runs = [case_result(f"case {n // 3}", turn(f"{n} " * 20), scores=[n % 3 / 2], eval_set_id="s") for n in range(60)]
    results = tmp_path / "store/results"
    write_document(results / "a.json", *runs[:20], eval_set_id="s")
    lines = write_lines(results / "b.jsonl", *runs[20:50])
    write_lines(results / ".hidden/c.jsonl", *runs)
    (results / "d.jsonl.gz").write_bytes(gzip.compress(write_lines(tmp_path / "d.jsonl", *runs[50:]).read_bytes()))
    (results / "manifest.json").write_text("{}", encoding="utf-8")
    cases = ", ".join(f'{{"id": "case {n}", "user_messages": ["{n}?"]}}' for n in range(20))
    (tmp_path / "store/sets/s.json").write_text(f'{{"id": "s", "cases": [{cases}]}}', encoding="utf-8")
    assert lines.stat().st_size > 10_000
    return tmp_path / "store"


@pytest.mark.parametrize("name", ["chatml", "dpo"])
def test_an_export_reads_another_store_as_it_reads_files(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", 5_000)
    options = pe.ExportOptions(name, target="trl")
    expected = pe.export(folder, tmp_path / "local.jsonl", options)
    files = {f"{BUCKET}/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setattr(store, "_LOCAL", MemoryStore(files))
    for source in (BUCKET, [f"{BUCKET}/results"]):
        prompts = () if source == BUCKET else f"{BUCKET}/sets/*.json"
        report = pe.export(source, tmp_path / "memory.jsonl", pe.ExportOptions(name, target="trl", prompts=prompts))
        assert report.traces_read == expected.traces_read == 60
        assert list(report.skipped_files) == [f"{BUCKET}/results/manifest.json"]
        assert (tmp_path / "memory.jsonl").read_bytes() == (tmp_path / "local.jsonl").read_bytes()
    with pytest.raises(pe.SourceError, match=f"{BUCKET}/nothing: no such file or directory"):
        pe.export(f"{BUCKET}/nothing", tmp_path / "memory.jsonl", options)


def test_links_to_a_local_file_share_its_identity(tmp_path: Path) -> None:
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_bytes(b"a")
    other.write_bytes(b"a")
    os.link(file, tmp_path / "hard")
    (tmp_path / "soft").symlink_to(file)
    local = store_for(str(file))
    statuses = [local.status(str(tmp_path / name)) for name in ("file", "hard", "soft")]
    assert len(set(statuses)) == 1
    assert statuses[0].identity != local.status(str(other)).identity
    os.utime(file, ns=(0, 0))
    assert local.status(str(file)).identity == statuses[0].identity
    assert local.status(str(file)).version != statuses[0].version


def test_what_can_be_read_once_is_a_stream(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"abc")
    local = LocalStore()
    assert local.status(str(tmp_path)).kind is FileKind.FOLDER
    assert local.status(str(tmp_path / "file"))[:2] == (FileKind.FILE, 3)
    assert local.status(str(tmp_path / "pipe")).kind is FileKind.STREAM
    assert local.status("/dev/null").kind is FileKind.STREAM
    with (tmp_path / "file").open("rb") as file:  # as a shell passes on what a command writes
        assert local.status(f"/dev/fd/{file.fileno()}").kind is FileKind.STREAM


def test_a_link_that_leads_nowhere_is_listed_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "itself").symlink_to("itself")
    found = LocalStore().list(str(tmp_path))
    assert (sorted(found.folders), sorted(found.files)) == (["folder", "link"], ["itself", "nowhere"])


def test_ranges_of_a_file_that_is_too_short_give_fewer_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    local = LocalStore()
    assert local.read_ranges(str(tmp_path / "file"), [(7, 2), (0, 3)]) == b"78012"
    assert local.read_ranges(str(tmp_path / "file"), [(0, 1), (8, 5), (20, 1)]) == b"089"
