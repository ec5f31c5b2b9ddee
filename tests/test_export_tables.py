"""Tables, in memory or stored, are exported to the same bytes as the files that they were read from."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_export as pe
from polars_export.execution.journal import Journal
from polars_export.execution.table_parts import find, parts_of, render_task
from polars_export.sources import segments
from polars_export.table_files import write
from polars_export.targets import targets
from tests.builders import case_result, turn, write_document, write_lines
from tests.conversations import conversations, openai
from tests.plugins.executor import BackwardExecutor
from tests.plugins.rule import ShortestRuns
from tests.strategies import traces

if TYPE_CHECKING:
    from polars_export.execution.tasks import Job

STORE = Path(__file__).parents[1] / "data"
CELLS = [(target, format_.name) for target in targets() for format_ in targets()[target].formats]
OUTPUTS = ["out.jsonl", "out.parquet", "out"]


@pytest.fixture(scope="module")
def store() -> pe.Tables:
    return pe.read(STORE)


def outcome(sources: Any, output: Path, options: pe.ExportOptions, **more: Any) -> Any:  # noqa: ANN401
    """Return what an export makes: the bytes of its data, and its account; or why it makes none."""
    try:
        report = pe.export(sources, output, options, **more)
    except pe.ExportError as error:
        return type(error), str(error)
    files = sorted((output / "data").iterdir()) if output.is_dir() else [output]
    account = (report.traces_read, report.exported, report.records, report.dropped, report.examples)
    return [file.read_bytes() for file in files], account, report.dropped_content


def write_tables(tables: pe.Tables, folder: Path, rows: int, turns: int) -> Path:
    """Write tables as anybody may: two files with row groups of any size."""
    folder.mkdir()
    tables.traces.write_parquet(folder / "traces.parquet", row_group_size=rows)
    tables.turns.write_parquet(folder / "turns.parquet", row_group_size=turns)
    return folder


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize(("target", "format_"), CELLS)
def test_every_cell_of_the_sample_is_the_same(
    target: str, format_: str, output: str, store: pe.Tables, tmp_path: Path
) -> None:
    for more in ({}, {"quality_threshold": 0.5}):
        options = pe.ExportOptions(format_, target=target, overwrite=True, **more)  # type: ignore[arg-type]
        assert outcome(store, tmp_path / output, options) == outcome(STORE, tmp_path / output, options)


@pytest.mark.parametrize(("target", "format_"), CELLS)
def test_stored_tables_are_the_same_whatever_their_row_groups(
    target: str, format_: str, store: pe.Tables, tmp_path: Path
) -> None:
    options = pe.ExportOptions(format_, target=target, quality_threshold=0.3)
    folder = write_tables(store, tmp_path / "tables", 30, 77)
    assert outcome(folder, tmp_path / "out.jsonl", options) == outcome(STORE, tmp_path / "out.jsonl", options)


@pytest.mark.parametrize("split_by", ["case", "prompt"])
@pytest.mark.parametrize("format_", ["chatml", "dpo"])
def test_splits_rules_and_prompts_are_the_same(format_: str, split_by: str, store: pe.Tables, tmp_path: Path) -> None:
    options = pe.ExportOptions(
        format_, target="trl", test_fraction=0.3, split_by=split_by, seed=2, rules=[ShortestRuns(3)],
        prompts=STORE / "sets", tools=STORE / "tools/airline.json", overwrite=True,
    )  # fmt: skip
    expected = outcome(STORE, tmp_path / "out", options)
    assert len(expected[0]) == 2
    assert outcome(store, tmp_path / "out", options) == expected
    unprompted = pe.read(STORE / "results")
    assert unprompted.traces["user_messages"].sum() == 0
    assert outcome(unprompted, tmp_path / "out", options) == expected


@given(st.lists(traces(), min_size=1, max_size=8), st.sampled_from([0.0, 0.5]))
def test_random_eval_results_are_the_same_in_every_cell(records: list[dict[str, Any]], threshold: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = write_lines(Path(folder) / "runs.jsonl", *records)
        check_all_cells(source, Path(folder) / "out.jsonl", quality_threshold=threshold)


@given(st.lists(conversations(), min_size=1, max_size=5))
def test_random_message_rows_are_the_same_in_every_cell(rows: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        records = [
            {"task_id": f"{number % 2}", "reward": number / 2, "messages": openai(steps)}
            for number, steps in enumerate(rows)
        ]
        check_all_cells(write_lines(Path(folder) / "rows.jsonl", *records), Path(folder) / "out.jsonl")


def check_all_cells(source: Path, output: Path, **more: Any) -> None:  # noqa: ANN401 - options
    tables = pe.read(source)
    for target, format_ in CELLS:
        keep: Any = {"missing_prompt": "keep"} if targets()[target].joins_prompts else {}
        options = pe.ExportOptions(format_, target=target, **keep, **more)
        expected = outcome(source, output, options)
        if expected[0] is pe.OptionError:
            expected = pe.OptionError, expected[1].replace(str(source), "frames in memory")
        assert outcome(tables, output, options) == expected
        if isinstance(expected[0], list):
            assert pe.export_traces(tables, options) == expected[0][0]


@pytest.mark.parametrize("target", ["reference", "trl"])
def test_arguments_are_written_as_of_files(target: str, tmp_path: Path) -> None:
    arguments = {"b": 2**70, "a": {"z": [-(2**63), 2**64 - 1, 2**64, 0.1], "é": None, "ä": 1e300}, "c": 10**400}
    call = {"id": "1", "name": "f", "arguments": arguments}
    source = write_lines(tmp_path / "runs.jsonl", case_result("a", turn("x", calls=[call, {**call, "arguments": 5}])))
    options = pe.ExportOptions("chatml", target=target, missing_prompt="keep")
    tables = pe.read(source)
    assert json.loads(tables.turns["tool_calls"][0][0]["arguments"]) == arguments
    pe.export(source, tmp_path / "out.jsonl", options)
    assert pe.export_traces(tables, options) == (tmp_path / "out.jsonl").read_bytes()


def test_any_executor_and_any_number_of_parts_give_the_same_records(
    store: pe.Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "PART_BYTES", 100_000)
    monkeypatch.setattr(write, "_TRACES_AT_ONCE", 13)
    made: list[BackwardExecutor] = []

    def executor(job: Job, workers: int) -> BackwardExecutor:
        made.append(BackwardExecutor(job, workers))
        return made[-1]

    for format_ in ("chatml", "dpo"):
        options = pe.ExportOptions(format_, target="trl")
        expected = outcome(STORE, tmp_path / "out.jsonl", options)
        assert outcome(store, tmp_path / "out.jsonl", options, executor=executor) == expected
    tasks_run = [task for executor in made for task in executor.tasks_run]
    assert min(tasks_run.count(task) for task in ("RenderTables", "ScanTables", "RenderSelection")) > 5


def test_workers_read_frames_and_stored_tables(
    store: pe.Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polars_export.execution.conductor._LEAST_FOR_PROCESSES", 1)
    monkeypatch.setattr(write, "_TRACES_AT_ONCE", 50)
    folder = write_tables(store, tmp_path / "tables", 50, 1000)
    options = pe.ExportOptions("dpo", target="trl", workers=2)
    expected = outcome(STORE, tmp_path / "out.jsonl", options)
    monkeypatch.setattr(segments, "PART_BYTES", 100_000)
    assert outcome(store, tmp_path / "out.jsonl", options) == expected
    assert outcome(folder, tmp_path / "out.jsonl", options) == expected


def test_the_score_counts_as_it_stands(store: pe.Tables) -> None:
    better = store.with_columns(score=pl.when(pl.col("trace") == 7).then(2).otherwise(0))
    lines = pe.export_traces(better, pe.ExportOptions(quality_threshold=1.0)).splitlines()
    assert [json.loads(line)["metadata"]["score"] for line in lines] == [2.0]
    unscored = store.with_columns(score=pl.lit(None))
    with pytest.raises(pe.NothingToExportError, match="200 unscored"):
        pe.export_traces(unscored)
    assert len(pe.export_traces(unscored, pe.ExportOptions("chatml", target="trl")).splitlines()) == 200


def test_the_tables_verbs_decide_what_is_exported(store: pe.Tables, tmp_path: Path) -> None:
    best = store.filter(pl.col("score") > 0.9).sort("score", descending=True).with_columns(mine=pl.lit("x"))
    pe.export(best, tmp_path / "out.jsonl", pe.ExportOptions("chatml", target="trl"))
    metadata = [json.loads(line)["metadata"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(record["case_id"], record["score"]) for record in metadata] == best.traces.select(
        "case_id", "score"
    ).rows()


def test_frames_of_ones_own_are_exported(tmp_path: Path) -> None:
    said = {"role": "user", "content": "Hi?"}
    made = pe.tables(
        pl.DataFrame({"trace": [4], "case_id": ["a"]}),
        pl.DataFrame({"trace": [4, 4], "turn": [1, 0], "text": ["Bye.", "Hello."], "preceding": [[], [said]]}),
    )
    record = json.loads(pe.export_traces(made, pe.ExportOptions("chatml", target="trl")))
    assert [message["content"] for message in record["messages"]] == ["Hi?", "Hello.", "Bye."]
    with pytest.raises(
        pe.OptionError, match=r"--target: reference is defined for eval-results, .* choose --target trl"
    ):
        pe.export(made, tmp_path / "out.jsonl")


def test_the_manifest_says_that_frames_were_in_memory(store: pe.Tables, tmp_path: Path) -> None:
    pe.export(store, tmp_path / "out", pe.ExportOptions("chatml", target="trl"))
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["sources"] == [{"path": "frames in memory", "bytes": None, "checksum": None}]
    assert "frames in memory" in (tmp_path / "out/README.md").read_text()


def test_the_manifest_names_the_files_of_stored_tables(store: pe.Tables, tmp_path: Path) -> None:
    folder = write_tables(store, tmp_path / "tables", 100, 100)
    pe.export([folder, STORE / "results"], tmp_path / "out", pe.ExportOptions("sharegpt"))
    sources = json.loads((tmp_path / "out/manifest.json").read_text())["sources"]
    assert [Path(source["path"]).name for source in sources[:2]] == ["traces.parquet", "turns.parquet"]
    assert len(sources) == 6
    assert all(source["bytes"] == Path(source["path"]).stat().st_size for source in sources)
    assert all(source["checksum"] for source in sources)


def test_tables_and_files_are_exported_together(store: pe.Tables, tmp_path: Path) -> None:
    folder = write_tables(store, tmp_path / "tables", 30, 77)
    more = write_document(tmp_path / "more.json", case_result("airline-000", scores=[9.0]), eval_set_id="airline")
    options = pe.ExportOptions("dpo")
    assert outcome([more, folder], tmp_path / "out.jsonl", options) == outcome(
        [more, STORE / "results"], tmp_path / "out.jsonl", options
    )


def test_frames_can_not_be_resumed(store: pe.Tables, tmp_path: Path) -> None:
    with pytest.raises(pe.OptionError, match="--resume: is for sources that are files"):
        pe.export(store, tmp_path / "out.jsonl", pe.ExportOptions(resume=True))


def test_the_journal_knows_stored_tables_and_notices_when_they_change(store: pe.Tables, tmp_path: Path) -> None:
    folder = write_tables(store, tmp_path / "tables", 50, 77)

    def key() -> str | None:
        (part,) = parts_of(find([folder]))
        return Journal(tmp_path / "journal", resumed=False).key_of(render_task(0, part))

    known = key()
    assert known == key() is not None
    store.turns.write_parquet(folder / "turns.parquet", row_group_size=78)
    assert key() != known


def test_tables_without_traces_are_nothing_to_export(store: pe.Tables, tmp_path: Path) -> None:
    none = store.filter(pl.lit(value=False))
    for sources in (none, write_tables(none, tmp_path / "tables", 1, 1)):
        with pytest.raises(pe.NothingToExportError, match="0 traces read"):
            pe.export(sources, tmp_path / "out.jsonl")
    with pytest.raises(pe.NothingToExportError, match="0 traces read"):
        pe.export_traces(none)
    assert len(pe.read(tmp_path / "tables")) == 0


def test_damaged_tables_are_named(store: pe.Tables, tmp_path: Path) -> None:
    folder = write_tables(store, tmp_path / "tables", 50, 77)
    store.turns.head(5).write_parquet(folder / "turns.parquet")
    with pytest.raises(pe.SourceError, match="tables: the traces have 2,454 turns, and there are 5 rows of turns"):
        pe.export(folder, tmp_path / "out.jsonl")
    store.turns.reverse().write_parquet(folder / "turns.parquet")
    with pytest.raises(pe.SourceError, match="tables: the rows of turns are not in the order of the traces"):
        pe.export(folder, tmp_path / "out.jsonl")
    store.turns.drop("text").write_parquet(folder / "turns.parquet")
    with pytest.raises(pe.SourceError, match=r"turns.parquet: column text is missing; expected String"):
        pe.read(folder)
    (folder / "turns.parquet").write_bytes(b"PAR1 and so on")
    with pytest.raises(pe.SourceError, match=r"turns.parquet: cannot be read as Parquet"):
        pe.export(folder, tmp_path / "out.jsonl")


@pytest.mark.parametrize("name", ["traces.parquet", "turns.parquet"])
def test_whatever_bytes_are_changed_tables_are_read_or_refused(name: str, store: pe.Tables, tmp_path: Path) -> None:
    few = store.filter(pl.col("trace") < 8)
    folder = write_tables(few, tmp_path / "tables", 5, 30)
    whole, random = (folder / name).read_bytes(), Random(3)  # noqa: S311 - no secret
    options = pe.ExportOptions("chatml", target="trl", missing_prompt="keep")
    outcomes = set()
    for number in range(100):
        damaged = bytearray(whole[: random.randrange(len(whole))] if number % 5 == 0 else whole)
        for _ in range(3):
            damaged[-random.randrange(1, 1 + min(len(damaged), 5_000))] = random.randrange(256)
        (folder / name).write_bytes(damaged)
        outcomes.add(outcome(folder, tmp_path / "out.jsonl", options)[0] is pe.SourceError)
    assert True in outcomes
