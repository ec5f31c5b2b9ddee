"""The public API as its users write it, with the types that they get; mypy checks it, and a test runs it.

Every name of `polars_export.__all__` occurs here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_type

import polars as pl

import polars_export as pe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def export_to_files(source: Path, folder: Path) -> None:
    """Sources and outputs are paths or their names, one or several."""
    report = assert_type(pe.export(source, folder / "a.jsonl"), pe.ExportReport)
    pe.export(str(source), str(folder / "b.parquet"), pe.ExportOptions("sharegpt"))
    pe.export([source, str(source)], folder / "c.jsonl.gz", options=pe.ExportOptions())
    pe.export((path for path in [source]), folder / "d.jsonl.zst", pe.ExportOptions())

    assert_type(report.output, str)
    assert_type(report.records, int)
    assert_type(report.traces_read, int)
    assert_type(report.exported, int)
    assert_type(report.dropped, dict[str, int])
    assert_type(report.dropped_content, dict[str, int])
    assert_type(report.bytes_read, int)
    assert_type(report.seconds, float)
    assert_type(report.rejects, str | None)
    assert_type(report.resumed, int)
    assert_type(report.dropped.get(pe.DropReason.BELOW_THRESHOLD, 0), int)


def say_how_to_read(source: Path) -> None:
    """Reading and exporting take the same options of input."""
    rows = pe.InputOptions(map={"score": "reward", "case": "task_id"}, on_error="skip", max_record_bytes="1MB")
    assert_type(pe.read(source, rows), pe.Tables)
    assert_type(pe.read_traces([source], pe.InputOptions(input="message-rows", prompts=[])), pl.DataFrame)
    options = pe.ExportOptions("chatml", target="trl")
    pe.export(source, source.with_suffix(".parquet"), options, input_options=pe.InputOptions(workers=1))


def choose_options() -> None:
    """Options are given as words or as members of their enumerations, and are members afterwards."""
    options = pe.ExportOptions(
        pe.TrainingFormat.DPO,
        target="trl",
        quality_threshold=1,
        include_metadata=False,
        prompts="sets",
        tools="tools.json",
        missing_prompt="skip",
        reasoning="think",
        arguments="string",
        min_margin=0.1,
        test_fraction=0.1,
        seed=7,
        max_shard_bytes="100MB",
        file_type="jsonl",
        on_error="skip",
        max_record_bytes=1_000_000,
        overwrite=True,
        resume=True,
        workers=2,
    )
    assert_type(options.format, pe.TrainingFormat | str)
    assert_type(options.target, pe.Target)
    assert_type(options.quality_threshold, float | None)
    assert_type(options.prompts, tuple[str, ...])
    assert_type(options.tools, str | None)
    assert_type(options.label_threshold, float | None)
    assert_type(options.max_shard_bytes, int | None)
    pe.ExportOptions("kto", target="trl", prompts=["sets/a.json", "sets/b.yaml"], label_threshold=0.5)
    assert_type(pe.ExportOptions.chatml_sft(0.5), pe.ExportOptions)
    assert_type(pe.ExportOptions.dpo_pairs(0.5), pe.ExportOptions)
    assert_type(pe.ExportOptions.sharegpt(), pe.ExportOptions)


def read_as_tables(source: Path, sets: Path) -> None:
    """Tables are Polars frames, or Arrow tables where they come in batches."""
    assert_type(pe.read_traces(source), pl.DataFrame)
    assert_type(pe.read_turns([str(source)], prompts=sets), pl.DataFrame)
    for batch in pe.iter_batches(source, prompts=[str(sets)]):
        assert_type(batch, pe.Batch)
        assert batch.traces.num_rows <= batch.turns.num_rows
    for column in assert_type((*pe.TRACES, *pe.TURNS), tuple[pe.Column, ...]):
        assert_type(column.name, str)
        assert_type(column.dtype, pl.DataType)
        assert_type(column.doc, str)


def export_objects(case_result: Mapping[str, Any]) -> None:
    """Case results as dicts, and scored traces, become JSON lines."""
    trace = assert_type(pe.ScoredTrace.from_case_result(case_result), pe.ScoredTrace)
    pe.ScoredTrace(trace.case_id, trace.invocation, trace.score)
    assert_type(pe.export_traces([case_result, trace]), bytes)
    assert_type(pe.export_traces(iter([case_result]), pe.ExportOptions("sharegpt")), bytes)


class LastWins:
    """An exporter of a user's own."""

    def export(self, traces: Iterable[pe.ScoredTrace | Mapping[str, Any]], options: pe.ExportOptions) -> bytes:
        """Return the record of the last trace."""
        return pe.export_traces([*traces][-1:], options)


def report_on(results: Mapping[str, Any]) -> None:
    """Exporters share an interface; the reporter says where what it has rendered is meant to go."""
    exporters: list[pe.TrainingExporter] = [pe.ChatMlExporter(), pe.DpoExporter(), pe.ShareGptExporter(), LastWins()]
    for exporter in exporters[::3]:
        assert_type(exporter.export(results["case_results"], pe.ExportOptions()), bytes)
    reporters = [
        pe.TrainingReporter.chatml_sft(0.0, "sft.jsonl"),
        pe.TrainingReporter.sharegpt("conversations.jsonl"),
        pe.TrainingReporter(pe.ExportOptions(), "all.jsonl"),
    ]
    assert_type(pe.TrainingReporter.dpo_pairs(0.0, "pairs.jsonl"), pe.TrainingReporter)
    for reporter in reporters:
        artifact = assert_type(reporter.render(results), pe.Artifact)
        assert_type(artifact.path, str)
        assert_type(artifact.data, bytes)


def explain(error: pe.ExportError) -> None:
    """Every error is one of a family, and carries what its message is made of."""
    assert_type(error.exit_status, int)
    if isinstance(error, pe.BadRecordError):
        assert_type((error.file, error.line), tuple[str, int | None])
        assert_type((error.json_path, error.expected, error.found), tuple[str, str, str])
    elif isinstance(error, pe.SourceError):
        assert_type((error.source, error.problem), tuple[str, str])
    elif isinstance(error, pe.MissingPromptError):
        assert_type(error.count, int)
        assert_type(error.cases, tuple[tuple[str | None, str], ...])
    elif isinstance(error, pe.NothingToExportError):
        assert_type((error.threshold, error.traces_read), tuple[float | None, int])
        assert_type(error.dropped, dict[str, int])
    elif isinstance(error, pe.FormatNotImplementedError):
        assert_type((error.format_name, error.target), tuple[str, str])
        assert_type(error.offered, tuple[str, ...])
    elif isinstance(error, pe.SerializationError):
        assert_type((error.index, error.problem), tuple[int, str])
    elif isinstance(error, pe.OptionError):
        assert_type((error.option, error.problem), tuple[str, str])
    elif isinstance(error, pe.OutputError):
        assert_type((error.output, error.problem), tuple[str, str])
    elif isinstance(error, pe.WorkerError):
        assert_type(error.status, int | None)


def export_or_explain(source: str, output: str) -> str | None:
    """One clause takes all errors, or those of the input alone."""
    try:
        pe.export(source, output)
    except pe.InputError as error:
        explain(error)
        return str(error)
    except pe.ExportError as error:
        explain(error)
    return assert_type(pe.__version__, str)


class FirstRuns:
    """A rule of selection of one's own: it says which columns it looks at, what it must see, and decides."""

    columns = ("score",)
    scope = pe.Scope.CASE

    def select(self, traces: pl.DataFrame, /) -> pl.DataFrame:
        """Keep every trace."""
        row = pl.int_range(pl.len(), dtype=pl.UInt32)
        none = pl.lit(None, pl.String)
        return traces.select(row=row, group=row, rank=pl.lit(0, pl.UInt32), reason=none)


def use_tables(source: Path, sets: Path, folder: Path) -> None:
    """Traces and turns are read as two frames in step."""
    tables = assert_type(pe.read(source, prompts=sets), pe.Tables)
    assert_type(tables.traces, pl.DataFrame)
    assert_type(tables.turns, pl.DataFrame)
    best = assert_type(tables.filter(pl.col("score") >= 0, tables.traces["turns"] > 0), pe.Tables)
    assert_type(best.sort("score", descending=True).sample(n=2, seed=1), pe.Tables)
    assert_type(best.with_columns(pl.lit(1).alias("mine"), yours=pl.col("turns")), pe.Tables)
    assert_type(pe.concat([best, tables]), pe.Tables)
    frames: list[pe.Frame] = [best.traces.lazy(), best.turns.to_arrow(), best.turns]
    assert_type(pe.tables(*frames[:2]), pe.Tables)
    assert_type(pe.export(best, folder / "best.jsonl"), pe.ExportReport)
    assert_type(pe.export_traces(best, pe.ExportOptions("sharegpt")), bytes)


def store_tables(source: Path, folder: Path) -> None:
    """Tables are stored in a directory, queried there and read as a source."""
    assert_type(pe.write_tables(source, folder / "tables", overwrite=True), pe.ExportReport)
    lazy = assert_type(pe.scan_tables(folder / "tables"), pe.LazyTables)
    assert_type(lazy.traces, pl.LazyFrame)
    assert_type(lazy.turns, pl.LazyFrame)
    assert_type(pe.read(folder / "tables"), pe.Tables)


def select_by_rule() -> None:
    """A rule of one's own is an option."""
    rule: pe.Rule = FirstRuns()
    pe.ExportOptions("dpo", rules=[rule])
