"""Sources that are damaged, empty, unreadable or no sources at all: named, and harmless to the others."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import termios
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import polars_export as pe
from polars_export.cli import main
from tests import rowwise
from tests.builders import case_result, document, scored_trace, turn, write_document, write_lines
from tests.faults.accounts import export, lines_of, read_rejects, rejects_path, work_directories, zstd
from tests.faults.processes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Json = dict[str, Any]

BEFORE = [case_result("before", turn("one"), scores=[0.5]), case_result("before", turn("two"), scores=[1.0])]
BEHIND = [case_result("behind", turn("three"), scores=[0.5]), case_result("behind", turn("four"), scores=[1.0])]
SKIP = pe.ExportOptions("chatml", on_error="skip")


def runs(count: int) -> list[Json]:
    """Make runs that say different things, so that they do not compress to next to nothing."""
    return [
        case_result(f"case {number % 20}", turn(f"{zlib.crc32(b'%d' % number)} " * 20), scores=[number % 7 / 7])
        for number in range(count)
    ]


RUNS = runs(400)
LINES = lines_of(RUNS)
DOCUMENT = json.dumps(document(*RUNS), indent=1).encode()


@dataclass(frozen=True)
class Three:
    """A folder of three files, of which the middle one is bad."""

    folder: Path
    output: Path

    @property
    def bad(self) -> Path:
        return self.folder / "b.jsonl"

    @property
    def sources(self) -> list[Path | str]:
        return [self.folder]


@pytest.fixture
def three(tmp_path: Path) -> Three:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    write_lines(tmp_path / "in/a.jsonl", *BEFORE)
    write_lines(tmp_path / "in/c.jsonl", *BEHIND)
    return Three(tmp_path / "in", tmp_path / "out/records.jsonl")


def stops(three: Three, capfd: pytest.CaptureFixture[str], *more: str) -> str:
    """Run an export of the folder that must stop; return the line in which it complains of the file in the middle."""
    three.output.write_bytes(b"old")
    command = ["export", str(three.folder), "--format", "chatml", "--output", str(three.output), *more]
    assert main(command) == 4
    captured = capfd.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith(f"polars-export: {three.bad}")
    assert [path.name for path in three.output.parent.iterdir()] == [three.output.name]
    assert three.output.read_bytes() == b"old"
    return captured.err


def skips(three: Three, format_name: str = "chatml", **options: Any) -> tuple[int, list[Json]]:  # noqa: ANN401 - options
    """Export the folder all the same; return how many records of the bad file came through, and its rejects.

    Those that do are its first ones, as they stand.
    """
    asked = pe.ExportOptions(format_name, on_error="skip", **options)
    report = export(three.sources, three.output, asked)
    rejects = read_rejects(rejects_path(three.output))
    assert all(reject["source"] == str(three.bad) for reject in rejects)
    exported = report.traces_read - report.dropped.get(pe.DropReason.INVALID, 0) - 4
    good = [*BEFORE, *RUNS[:exported], *BEHIND]
    assert three.output.read_bytes() == rowwise.export(good, format_name, 0.0)
    return exported, rejects


def is_of_a_source(reject: Json) -> bool:
    return (reject["line"], reject["index"]) == (None, None)


GZIP, ZSTD = gzip.compress(LINES), zstd(LINES)


def damaged(data: bytes, at: int) -> bytes:
    return data[:at] + bytes(64) + data[at + 64 :]


DAMAGED: dict[str, bytes] = {
    "the beginning of a gzip header": GZIP[:6],
    "a gzip header": GZIP[:10],
    "a gzip stream that ends early": GZIP[: len(GZIP) // 2],
    "a gzip stream without its checksum": GZIP[:-8],
    "a gzip stream with a wrong checksum": GZIP[:-8] + bytes(4) + GZIP[-4:],
    "a gzip stream with a hole": damaged(GZIP, len(GZIP) // 2),
    "a gzip stream with noise behind": GZIP + b"noise",
    "the beginning of a zstd header": ZSTD[:5],
    "a zstd stream that ends early": ZSTD[: len(ZSTD) // 2],
    "a zstd stream with a hole": damaged(ZSTD, len(ZSTD) // 2),
    "a document that ends early": DOCUMENT[: len(DOCUMENT) // 2],
    "a document without its end": DOCUMENT[:-2],
    "a document that ends before its case results": b'{"eval_set_id": "set", "case_results": [',
    "a compressed document that ends early": gzip.compress(DOCUMENT[: len(DOCUMENT) // 2]),
    "a document broken between two case results": DOCUMENT.replace(b"  },\n  {", b"  }\n  {", 1),
    "a document with words between two case results": DOCUMENT.replace(b"  },\n  {", b"  } oops,\n  {", 1),
    "a document that names no eval set": DOCUMENT.replace(b'"eval_set_id"', b'"eval_set"', 1),
}

LEAST = {
    "a gzip stream that ends early": 150,
    "a gzip stream without its checksum": 350,
    "a gzip stream with noise behind": 350,
    "a zstd stream that ends early": 100,
    "a document that ends early": 199,
    "a document without its end": 400,
    "a compressed document that ends early": 199,
    "a document broken between two case results": 1,
    "a document with words between two case results": 1,
}
"""How many traces precede the damage by so much that they must come through; none where a name is missing."""


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_source_stops_an_export_and_is_named(
    name: str, three: Three, capfd: pytest.CaptureFixture[str]
) -> None:
    three.bad.write_bytes(DAMAGED[name])
    stops(three, capfd)


def test_the_first_bad_record_is_named_also_where_a_later_source_is_damaged(
    three: Three, capfd: pytest.CaptureFixture[str]
) -> None:
    later = three.folder / "d.jsonl"
    later.write_bytes(DAMAGED["a gzip stream that ends early"])
    for format_name in ("chatml", "dpo"):
        write_lines(three.bad, case_result("a"), case_result("b", turn("x", index=-1)))
        assert f"{three.bad}:2: $.invocation.turns[0].turn_index" in stops(three, capfd, "--format", format_name)
        write_lines(three.bad, case_result("a"), case_result("b"))
        with pytest.raises(pe.SourceError, match=r"d\.jsonl: damaged gzip data"):
            pe.export(three.folder, three.output, pe.ExportOptions(format_name))
    with later.open("rb") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", SimpleNamespace(buffer=file, fileno=file.fileno))
        with pytest.raises(pe.SourceError, match="-: damaged gzip data"):
            pe.export("-", three.output, pe.ExportOptions("dpo"))


@pytest.mark.parametrize("format_name", ["chatml", "dpo"])
@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_lost_of_a_damaged_source_is_one_reject_and_the_next_goes_on(
    name: str, format_name: str, three: Three
) -> None:
    three.bad.write_bytes(DAMAGED[name])
    if "document" in name:
        asked = pe.ExportOptions(format_name, on_error="skip")
        report = export(three.sources, three.output, asked)
        exported = report.traces_read - 1 - 4
        rejects = read_rejects(rejects_path(three.output))
        held = [{**trace, "eval_set_id": "set"} for trace in RUNS[:exported]]
        assert three.output.read_bytes() == rowwise.export([*BEFORE, *held, *BEHIND], format_name, 0.0)
    else:
        exported, rejects = skips(three, format_name)
    (reject,) = rejects
    assert is_of_a_source(reject)
    assert LEAST.get(name, 0) <= exported <= len(RUNS)


def test_all_that_precedes_the_damage_is_kept(three: Three) -> None:
    three.bad.write_bytes(DAMAGED["a document that ends early"])
    report = export(three.sources, three.output, SKIP)
    whole = DAMAGED["a document that ends early"].count(b'\n   "verdict"')
    assert report.exported == 4 + whole > 100
    three.bad.write_bytes(DAMAGED["a document without its end"])
    assert export(three.sources, three.output, SKIP).exported == 4 + len(RUNS)
    three.bad.write_bytes(DAMAGED["a document broken between two case results"])
    assert export(three.sources, three.output, SKIP).exported == 4 + 1


NO_TRACES: dict[str, tuple[bytes, str]] = {
    "an empty file": (b"", "the file is empty"),
    "nothing but space": (b" \r\n\n\t", "the file is empty"),
    "nothing but a byte-order mark": (b"\xef\xbb\xbf", "the file is empty"),
    "a gzip stream of nothing": (gzip.compress(b""), "the file is empty"),
    "a manifest": (
        b'{\n "name": "x",\n "files": [{"score": 1}]\n}\n',
        "expected eval results .* object with files, name",
    ),
    "other lines": (b'{"a": 1}\n{"a": 2}\n', "expected eval results .* object with a$"),
    "a summary of eval results": (b'{"eval_set_id": "s", "passed": 3}', "expected eval results .* eval_set_id, passed"),
    "a number": (b"7", "expected a JSON object, found text that starts with '7'"),
    "a string": (b'"1.0"\n', "expected a JSON object, found text that starts with '\"1.0\"'"),
    "broken JSON": (b'{"a": [1, 2', "expected the rest of the document, found the end of the file"),
    "an image": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, "expected a JSON object, found text that starts with"),
    "bzip2": (b"BZh9" + bytes(range(256)), "expected a JSON object, found text that starts with 'BZh9"),
    "HTML": (b"<html>\n<body>\n", "expected a JSON object, found text that starts with '<html>'"),
    "CSV": (b"a,b\n1,2\n", "expected a JSON object, found text that starts with 'a,b'"),
}


@pytest.mark.parametrize("on_error", ["fail", "skip"])
@pytest.mark.parametrize("format_name", ["chatml", "dpo"])
@pytest.mark.parametrize("name", NO_TRACES)
def test_a_search_skips_a_file_without_traces_and_names_it(
    name: str, format_name: str, on_error: str, three: Three
) -> None:
    data, problem = NO_TRACES[name]
    three.bad.write_bytes(data)
    report = export(three.sources, three.output, pe.ExportOptions(format_name, on_error=on_error))
    assert three.output.read_bytes() == rowwise.export([*BEFORE, *BEHIND], format_name, 0.0)
    assert (report.traces_read, report.dropped) == (4, {})
    assert list(report.skipped_files) == [str(three.bad)]
    assert re.search(problem, report.skipped_files[str(three.bad)])


@pytest.mark.parametrize("name", NO_TRACES)
def test_a_file_without_traces_that_is_named_is_an_error(name: str, three: Three) -> None:
    data, problem = NO_TRACES[name]
    three.bad.write_bytes(data)
    named: list[Path | str] = [three.folder / "a.jsonl", three.bad, three.folder / "c.jsonl"]
    for sources in (named, [f"{three.folder}/*.jsonl"]):
        with pytest.raises(pe.InputError, match=problem) as caught:
            pe.export(sources, three.output, pe.ExportOptions("chatml"))
        assert str(caught.value).startswith(str(three.bad))
    report = export(named, three.output, SKIP)
    assert (report.exported, report.dropped, report.skipped_files) == (4, {"invalid": 1}, {})
    (reject,) = read_rejects(rejects_path(three.output))
    assert is_of_a_source(reject) or reject["line"] == 1


@pytest.mark.parametrize("data", [b'{"eval_set_id": "set", "case_resu', b'{"case_id": "a", "invoc'])
def test_a_search_skips_no_file_that_ends_in_the_first_keys_of_results(
    data: bytes, three: Three, capfd: pytest.CaptureFixture[str]
) -> None:
    three.bad.write_bytes(data)
    assert "found the end of the file" in stops(three, capfd)
    exported, (reject,) = skips(three)
    assert (exported, reject["line"]) == (0, 1)


@pytest.mark.parametrize("name", ["a manifest", "other lines", "HTML", "broken JSON"])
def test_a_search_skips_no_file_with_a_trace_behind_something_else(
    name: str, three: Three, capfd: pytest.CaptureFixture[str]
) -> None:
    three.bad.write_bytes(NO_TRACES[name][0].rstrip() + b"\n" + LINES)
    stops(three, capfd)
    exported, _ = skips(three)
    assert exported == len(RUNS)


def test_a_search_in_which_no_file_has_traces_is_an_error(tmp_path: Path) -> None:
    for data, problem in NO_TRACES.values():
        (tmp_path / "file.json").write_bytes(data)
        for on_error in ("fail", "skip"):
            with pytest.raises(pe.SourceError, match=problem):
                pe.export(tmp_path, tmp_path.with_suffix(".jsonl"), pe.ExportOptions("chatml", on_error=on_error))


def test_a_source_of_another_kind_that_is_named_is_an_error(three: Three, capfd: pytest.CaptureFixture[str]) -> None:
    three.bad.write_bytes(b'{"schema_version": 1, "cases": []}')
    sources: list[Path | str] = [three.folder / "a.jsonl", three.bad, three.folder / "c.jsonl"]
    command = [*map(str, sources), "--format", "chatml", "--output", str(three.output)]
    assert main(["export", *command]) == 4
    assert "a report artifact holds no traces" in capfd.readouterr().err
    report = export(sources, three.output, SKIP)
    assert (report.exported, report.dropped) == (4, {"invalid": 1})
    (reject,) = read_rejects(rejects_path(three.output))
    assert is_of_a_source(reject)
    assert export(three.sources, three.output, SKIP).dropped == {}  # a search skips it


def no_file(place: Path) -> None:
    place.symlink_to(place.with_name("nowhere"))


def a_link_to_itself(place: Path) -> None:
    place.symlink_to(place)


def a_socket(place: Path) -> None:
    folder = os.open(place.parent, os.O_RDONLY)
    try:  # the path of a socket must be short
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(f"/proc/self/fd/{folder}/{place.name}")
    finally:
        os.close(folder)


@pytest.mark.parametrize("make", [no_file, a_link_to_itself, a_socket])
def test_what_cannot_be_opened_costs_no_other(
    make: Callable[[Path], None], three: Three, capfd: pytest.CaptureFixture[str]
) -> None:
    make(three.bad)
    stops(three, capfd)
    exported, rejects = skips(three)
    assert (exported, [is_of_a_source(reject) for reject in rejects]) == (0, [True])


@contextmanager
def somebody_else(folder: Path) -> Iterator[None]:
    """Become a user whose permissions count, where this one is the superuser."""
    if os.geteuid():
        yield
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 65_534, 65_534)
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("bad", ["in/b.jsonl", "in/folder"])
def test_a_file_that_may_not_be_read_costs_no_other_and_a_folder_stops_all(
    bad: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:  # the folders of tests are closed to others
        folder = Path(name)
        three = Three(folder / "in", folder / "out/records.jsonl")
        three.folder.mkdir()
        three.output.parent.mkdir()
        write_lines(three.folder / "a.jsonl", *BEFORE)
        write_lines(three.folder / "c.jsonl", *BEHIND)
        if bad == "in/folder":
            (folder / bad).mkdir()
        else:
            write_lines(folder / bad, *RUNS)
        with somebody_else(folder):
            (folder / bad).chmod(0)
            command = ["export", str(three.folder), "--format", "chatml", "--output", str(three.output)]
            assert main(command) == 4
            assert f"{folder / bad}: Permission denied" in capfd.readouterr().err
            if bad == "in/folder":  # nobody can tell how much is in it
                with pytest.raises(pe.SourceError, match="Permission denied"):
                    pe.export(three.sources, three.output, SKIP)
                (folder / bad).chmod(0o700)
                return
            report = export(three.sources, three.output, SKIP)
            (folder / bad).chmod(0o700)
            assert three.output.read_bytes() == rowwise.export([*BEFORE, *BEHIND], "chatml", 0.0)
            assert report.dropped == {"invalid": 1}
            (reject,) = read_rejects(rejects_path(three.output))
            assert is_of_a_source(reject)
            assert reject["source"] == str(folder / bad)


def test_links_that_lead_in_a_circle_are_followed_once(three: Three) -> None:
    (three.folder / "deep").mkdir()
    write_lines(three.folder / "deep/d.jsonl", *RUNS[:3])
    (three.folder / "deep/up").symlink_to(three.folder)
    (three.folder / "deep/self").symlink_to(three.folder / "deep")
    report = export(three.sources, three.output, SKIP)
    assert (report.exported, report.dropped) == (7, {})


def test_sources_of_all_kinds_in_one_call(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "out").mkdir()
    write_document(folder / "a.json", *RUNS[:10], eval_set_id="a")
    write_lines(folder / "b.jsonl", *RUNS[10:20])
    (folder / "c.json.gz").write_bytes(gzip.compress(json.dumps(document(*RUNS[20:30], eval_set_id="a")).encode()))
    (folder / "d.jsonl.zst").write_bytes(zstd(lines_of(RUNS[30:40])))
    write_lines(folder / "e.ndjson", *[scored_trace(f"case {number}", score=0.5) for number in range(5)])
    (folder / "f.json").write_text('{"schema_version": 1, "cases": []}', encoding="utf-8")
    (folder / "g.jsonl").write_bytes(b'{"case_id": 3, "invocation": {}}\n')
    (folder / "h.json").write_bytes(gzip.compress(LINES)[:-9])
    (folder / "i.jsonl").write_bytes(b"")
    named = [folder / name for name in ("a.json", "b.jsonl", "c.json.gz", "d.jsonl.zst", "e.ndjson", "g.jsonl")]
    report = export([*named, folder / "i.jsonl"], tmp_path / "out/records.jsonl", SKIP)
    assert (report.exported, report.dropped) == (45, {"invalid": 2})
    report = export([folder], tmp_path / "out/records.jsonl", SKIP)
    assert report.dropped == {"invalid": 2}
    rejects = read_rejects(tmp_path / "out/rejects.jsonl")
    assert [Path(reject["source"]).name for reject in rejects] == ["g.jsonl", "h.json"]
    assert [Path(path).name for path in report.skipped_files] == ["f.json", "i.jsonl"]


def test_prompts_in_yaml_make_no_objects(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = write_lines(tmp_path / "lines.jsonl", *BEFORE)
    mark = tmp_path / "mark"
    prompts = tmp_path / "sets.yaml"
    for tag in ("!!python/object/apply:os.system", "!!python/object/new:os.system", "!!python/name:os.system"):
        prompts.write_text(
            f"id: set\nname: s\ncases:\n- id: before\n  system_prompt: {tag} ['touch {mark}']\n  user_messages: [x]\n",
            encoding="utf-8",
        )
        command = ["export", str(source), "--format", "chatml", "--target", "trl", "--prompts", str(prompts)]
        for on_error in ("fail", "skip"):
            assert main([*command, "--output", str(tmp_path / "out.jsonl"), "--on-error", on_error]) == 4
            error = capfd.readouterr().err
            assert error.startswith(f"polars-export: {prompts}")
            assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lines.jsonl", "sets.yaml"]


@pytest.mark.parametrize("name", ["in/a.jsonl", "in/out.jsonl", "in/set", "in", "link/out.jsonl"])
def test_an_output_among_its_sources_is_refused_before_anything_is_read(
    name: str, three: Three, capfd: pytest.CaptureFixture[str]
) -> None:
    three.bad.write_bytes(b"not read")
    (three.folder.parent / "link").symlink_to(three.folder)
    before = sorted(three.folder.rglob("*"))
    output = three.folder.parent / name
    command = ["export", str(three.folder), "--format", "chatml", "--output", str(output), "--overwrite"]
    assert main(command) == 2
    assert capfd.readouterr().err.count("\n") == 1
    assert sorted(three.folder.rglob("*")) == before
    assert work_directories(output) == []
    if name.endswith(".jsonl"):
        single = three.folder / "a.jsonl"
        assert main(["export", str(single), "--format", "chatml", "--output", str(single)]) == 2


@pytest.mark.parametrize("source", ["out/rejects.jsonl", "out/../out/rejects.jsonl", "link.jsonl"])
def test_rejects_that_would_replace_a_source_are_refused(
    source: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    write_lines(tmp_path / "out/rejects.jsonl", *BEFORE)
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "out/rejects.jsonl")
    before = (tmp_path / "out/rejects.jsonl").read_bytes()
    command = ["export", str(tmp_path / source), "--format", "chatml", "--output", str(tmp_path / "out/records.jsonl")]
    assert main([*command, "--on-error", "skip"]) == 2
    assert capfd.readouterr().err.count("\n") == 1
    assert (tmp_path / "out/rejects.jsonl").read_bytes() == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["rejects.jsonl"]


def test_an_output_by_the_name_of_its_rejects_is_refused(three: Three, capfd: pytest.CaptureFixture[str]) -> None:
    output = three.output.with_name("rejects.jsonl")
    command = ["export", str(three.folder), "--format", "chatml", "--output", str(output)]
    assert main([*command, "--on-error", "skip"]) == 2
    assert capfd.readouterr().err.count("\n") == 1
    assert list(output.parent.iterdir()) == []
    assert main(command) == 0


def test_a_named_pipe_in_a_directory_does_not_hold_an_export_up(three: Three) -> None:
    os.mkfifo(three.bad)
    command = [sys.executable, "-m", "polars_export", "export", str(three.folder), "--format", "chatml"]
    command += ["--output", str(three.output), "--on-error", "skip"]
    subprocess.run(command, check=True, timeout=PATIENCE, capture_output=True)
    assert three.output.read_bytes() == rowwise.export([*BEFORE, *BEHIND], "chatml", 0.0)


@pytest.mark.parametrize(
    "share", [pytest.param(0.2, marks=pytest.mark.long), 0.5, pytest.param(0.9, marks=pytest.mark.long)]
)
@pytest.mark.parametrize("kind", ["lines", "a document"])
@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_what_can_be_unpacked_of_damaged_data_is_exported(codec: str, kind: str, share: float, tmp_path: Path) -> None:
    """But for what is unpacked at one time, which is little."""
    random = Random(1)  # noqa: S311 - text that does not shrink much
    runs = [case_result(str(n), turn(random.randbytes(500).hex())) for n in range(2_000)]
    plain = lines_of(runs) if kind == "lines" else json.dumps(document(*runs)).encode()
    packed = gzip.compress(plain, 1) if codec == "gzip" else zstd(plain)
    source = tmp_path / "source"
    source.write_bytes(packed[: int(len(packed) * share)])
    (tmp_path / "out").mkdir()
    report = export(source, tmp_path / "out/out.jsonl", pe.ExportOptions("chatml", on_error="skip"))
    lost = 200_000 / len(plain)  # a block of zstd holds 128 KB
    assert (share - 0.02 - lost) * len(runs) < report.exported < (share + 0.02) * len(runs)
    assert report.dropped == {"invalid": 1}


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstd])
@pytest.mark.parametrize("blocking", [True, False])
def test_what_is_piped_may_come_slowly(compress: Callable[[bytes], bytes], *, blocking: bool, tmp_path: Path) -> None:
    data = compress(lines_of(BEFORE * 100))
    readable, writable = os.pipe()
    os.set_blocking(readable, blocking)
    command = [sys.executable, "-m", "polars_export", "export", "-", "--format", "chatml", "--output", "-"]
    with subprocess.Popen(command, stdin=readable, stdout=subprocess.PIPE, cwd=tmp_path) as process:
        os.close(readable)
        with open(writable, "wb", buffering=0) as pipe:  # noqa: PTH123 - a descriptor
            for piece in (data[:1], data[1:3], data[3 : len(data) // 2], data[len(data) // 2 :]):
                pipe.write(piece)
                while fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)) != bytes(4):  # bytes that it has not read yet
                    time.sleep(0.005)
                time.sleep(0.05)  # by now it waits for more
        assert process.stdout
        assert process.stdout.read().count(b"\n") == 100 * len(BEFORE)
    assert process.returncode == 0
