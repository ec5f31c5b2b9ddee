"""Eval sets and tools are read once, and every process has them from one file that it maps into memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import polars_export as pe
from polars_export.execution import conductor
from polars_export.execution.part_worker import PartWorker
from polars_export.execution.process_executor import ProcessExecutor
from polars_export.execution.tasks import Job, StoreSideInputs
from polars_export.prompts import side_inputs
from polars_export.prompts.eval_sets import PROMPTS, read_prompts
from polars_export.prompts.join import SideInputs
from polars_export.prompts.side_inputs import open_side_inputs, store_side_inputs
from polars_export.prompts.tools import Tools
from polars_export.sources import segments
from tests.builders import case_result, turn, write_lines
from tests.plugins.executor import BackwardExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCHEMA = '{"type":"function","function":{"name":"f"}}'
CASES = [("one", "a", "Be kind. 🙂", ["?", ""]), ("one", "b", "", []), ("two", "a", "x" * 100, ["!"])]


@pytest.mark.parametrize("rows", [CASES, []])
@pytest.mark.parametrize(
    "tools", [None, Tools([]), Tools([SCHEMA]), Tools({}), Tools({"one": [SCHEMA, SCHEMA], "zwölf": []})]
)
def test_what_is_stored_is_what_is_opened(rows: list[Any], tools: Tools | None, tmp_path: Path) -> None:
    stored = SideInputs(pl.DataFrame(rows, PROMPTS, orient="row"), tools)
    store_side_inputs(stored, tmp_path / "side-inputs")
    opened = open_side_inputs(tmp_path / "side-inputs")
    assert_frame_equal(opened.prompts, stored.prompts)
    assert opened.tools == tools


_OPEN = """
import sys
from pathlib import Path
from polars_export.prompts.side_inputs import open_side_inputs

def private_megabytes():
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) >> 10

for name in sys.argv[1:]:  # the first loads what is needed, and is small
    before = private_megabytes()
    opened = open_side_inputs(Path(name))
    assert opened.prompts.join(opened.prompts.head(9), on="case_id", how="semi").height == 9
print(private_megabytes() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_the_memory_of_a_process_does_not_grow_with_the_prompts(tmp_path: Path) -> None:
    for name, length in (("small", 10), ("large", 40_000)):
        rows = [("set", f"case {number}", "x" * length, ["y" * length]) for number in range(500)]
        store_side_inputs(SideInputs(pl.DataFrame(rows, PROMPTS, orient="row")), tmp_path / name)
    assert (tmp_path / "large").stat().st_size > 40e6
    command = [sys.executable, "-c", _OPEN, str(tmp_path / "small"), str(tmp_path / "large")]
    grown = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(grown.stdout) < 10


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return lines that make many parts, with their eval set beside them."""
    monkeypatch.setattr(segments, "PART_BYTES", 2_000)
    monkeypatch.setattr(conductor, "_LEAST_FOR_PROCESSES", 0)
    cases = [{"id": f"case {number}", "system_prompt": "Be kind.", "user_messages": ["?"]} for number in range(5)]
    (tmp_path / "set.json").write_text(json.dumps({"id": "set", "cases": cases}), encoding="utf-8")
    runs = [case_result(f"case {number % 5}", turn(f"answer {number}"), scores=[number]) for number in range(40)]
    return write_lines(tmp_path / "runs.jsonl", *runs)


def options(source: Path, format_: str) -> pe.ExportOptions:
    return pe.ExportOptions(format_, target="trl", prompts=str(source.with_name("set.json")), workers=2)


@pytest.mark.parametrize("format_", ["chatml", "dpo"])
def test_eval_sets_are_read_once_however_many_workers_need_them(
    format_: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Any] = []

    def counted(sources: Any) -> pl.DataFrame:  # noqa: ANN401 - as of `read_prompts`
        reads.append(sources)
        return read_prompts(sources)

    monkeypatch.setattr(side_inputs, "read_prompts", counted)
    pe.export(source, tmp_path / "out.jsonl", options(source, format_), executor=BackwardExecutor)
    assert reads == [(str(source.with_name("set.json")),)]
    assert b"Be kind." in (tmp_path / "out.jsonl").read_bytes()


@pytest.mark.parametrize("format_", ["chatml", "dpo"])
def test_no_process_reads_the_eval_sets_again(format_: str, source: Path, tmp_path: Path) -> None:
    class Forgetful(ProcessExecutor):
        """Removes the eval set as soon as it has been read."""

        def run(self, tasks: Any, on_progress: Callable[[int, int], None]) -> Iterator[Any]:  # noqa: ANN401 - as above
            every = list(tasks)
            yield from super().run(every, on_progress)
            if isinstance(every[0], StoreSideInputs):
                source.with_name("set.json").unlink()

    pe.export(source, tmp_path / "one.jsonl", options(source, format_))
    pe.export(source, tmp_path / "two.jsonl", options(source, format_), executor=Forgetful)
    assert not source.with_name("set.json").exists()
    assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("format_", ["chatml", "dpo"])
def test_a_bad_eval_set_stops_an_export_before_a_bad_record(
    format_: str, workers: int, source: Path, tmp_path: Path
) -> None:
    source.write_bytes(b"{\n" + source.read_bytes())
    source.with_name("set.json").write_text('{"id": "set", "cases": 3}', encoding="utf-8")
    asked = pe.ExportOptions(format_, target="trl", prompts=str(source.with_name("set.json")), workers=workers)
    with pytest.raises(pe.BadRecordError, match=r"set\.json: \$\.cases: expected an array, found") as caught:
        pe.export(source, tmp_path / "out.jsonl", asked)
    assert caught.value.exit_status == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs.jsonl", "set.json"]


def test_no_room_for_the_side_inputs_is_an_error_of_the_output(source: Path, tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    job = Job((str(source.with_name("set.json")),), options(source, "chatml"), "out.jsonl", False, tmp_path, full)
    with pytest.raises(pe.OutputError, match=r"^out\.jsonl: No space left on device$"):
        PartWorker(job).run(StoreSideInputs(full), lambda *_: None)
