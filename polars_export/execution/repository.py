"""What a dataset repository needs beside records: their splits, and what its card and manifest say."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import polars as pl

from polars_export.selection.openings import share_of_case
from polars_export.sources.fingerprint import CHECKSUM_KIND
from polars_export.table_files.blocks import SCHEMAS
from polars_export.targets import Unit
from polars_export.writers.card import CardFacts, Turns, render_card
from polars_export.writers.manifest import options_of_tables, render_manifest
from polars_export.writers.tables_card import TablesFacts, render_tables_card

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from polars_export.execution.tasks import DescribeDataset
    from polars_export.options import ExportOptions
    from polars_export.pipeline.card_statistics import CardStatistics
    from polars_export.pipeline.render import RenderedBatch
    from polars_export.report import ExportReport
    from polars_export.writers.blocks import Encoding

__all__ = ["describe", "describe_tables", "records_in_test", "split_of_cases", "splits_of"]


def _histogram(scores: Counter[tuple[float, float]]) -> list[tuple[float, float, int]]:
    """Return all tenths from 0 to 1, and of the other bins those that hold traces: from, to, number of traces."""
    if not scores:
        return []
    tenths = {(place / 10, (place + 1) / 10) for place in range(10)}
    return [(low, high, scores[low, high]) for low, high in sorted(tenths | scores.keys())]


def records_in_test(batch: RenderedBatch, options: ExportOptions) -> pl.Series | None:
    """Return for each record of a batch whether it belongs to the test split; None where there is no such split."""
    if not options.test_fraction:
        return None
    traces = batch.tables.traces[batch.rendered.rows]
    return traces["in_test"] if options.splits_by_prompt else split_of_cases(traces, options)


def splits_of(batch: RenderedBatch, in_test: pl.Series | None) -> Iterator[tuple[str, pa.Table]]:
    """Yield the records of a batch by their split; see `records_in_test`."""
    records = batch.rendered.records
    if in_test is None:
        yield "train", records
        return
    for split, rows in (("train", ~in_test), ("test", in_test)):
        if rows.any():
            kept = pl.DataFrame(records).filter(rows)  # Arrow itself filters no string views
            yield split, kept.to_arrow(compat_level=pl.CompatLevel.newest())


def split_of_cases(traces: pl.DataFrame, options: ExportOptions) -> pl.Series:
    """Return for each trace whether its case belongs to the test split.

    That depends on the case and the seed alone, so that no case changes sides when runs or cases are added.
    """
    cases, repository = traces.select("eval_set_id", "case_id"), options.repository
    sides = {
        case: share_of_case(case, repository.seed) < repository.test_fraction for case in cases.unique().iter_rows()
    }
    return pl.Series([sides[case] for case in cases.iter_rows()], dtype=pl.Boolean)


def describe(facts: DescribeDataset, options: ExportOptions, encoding: Encoding) -> dict[str, str]:
    """Return the texts of the card, the manifest and the target's own files, by the file's name."""
    splits = list(dict.fromkeys(shard.split for shard in facts.shards))
    texts = {
        "README.md": render_card(_card_facts(facts, options, encoding)),
        "manifest.json": _manifest(facts, options.as_dict()),
    }
    if options.target.dataset_files:
        texts |= options.target.dataset_files(options.format, splits)
    return texts


def describe_tables(facts: DescribeDataset, options: ExportOptions) -> dict[str, str]:
    """Return the texts of the card and the manifest of stored tables, by the file's name."""
    report, statistics = facts.report, facts.statistics
    card = TablesFacts(
        title=_title(report),
        schemas=SCHEMAS,
        shards=facts.shards,
        sources=[file.path for file in facts.sources],
        traces_read=report.traces_read,
        dropped={str(reason): count for reason, count in report.dropped.items()},
        models={model: count for model, count in statistics.models.items() if model},
    )
    manifest = _manifest(facts, options_of_tables(options.as_dict()))
    return {"README.md": render_tables_card(card), "manifest.json": manifest}


def _manifest(facts: DescribeDataset, options: dict[str, object]) -> str:
    report = facts.report
    counts: dict[str, int | Mapping[str, object]] = {
        "traces_read": report.traces_read,
        "exported": report.exported,
        "records": report.records,
        "dropped": {str(reason): count for reason, count in report.dropped.items()},
        "examples": {
            reason: {"eval_set_id": eval_set, "case_id": case} for reason, (eval_set, case) in report.examples.items()
        },
        "dropped_content": report.dropped_content,
    }
    return render_manifest(
        sources=facts.sources,
        source_checksum=CHECKSUM_KIND,
        side_inputs=facts.side_inputs,
        options=options,
        counts=counts,
        shards=facts.shards,
        timings={"seconds": report.seconds},
    )


def _card_facts(facts: DescribeDataset, options: ExportOptions, encoding: Encoding) -> CardFacts:
    report, statistics = facts.report, facts.statistics
    return CardFacts(
        title=_title(report),
        format_name=options.format,
        target=options.target.name,
        schema=encoding.schema,
        shards=facts.shards,
        traces_read=report.traces_read,
        exported=report.exported,
        sources=[file.path for file in facts.sources],
        selection=[*_selection(options), *_shared_prompts(statistics)],
        dropped={str(reason): count for reason, count in report.dropped.items()},
        examples={reason: example for reason in report.dropped if (example := report.example(reason)) is not None},
        dropped_content=report.dropped_content,
        scores=_histogram(statistics.scores),
        unscored=statistics.unscored,
        models=dict(statistics.models),
        turns=Turns.of(statistics.turns),
        sample=statistics.sample,
        usage=options.target.usage,
    )


def _title(report: ExportReport) -> str:
    return os.path.basename(os.path.abspath(report.output))  # noqa: PTH100, PTH119 - a name, no file


def _shared_prompts(statistics: CardStatistics) -> list[str]:
    """Return the sentence about prompts of the test split that occur in train too, where there are such splits."""
    tested = statistics.prompts.get("test")
    if not tested:
        return []
    shared = len(tested & statistics.prompts.get("train", set()))
    return [f"Of the {len(tested):,} distinct prompts of the test split, {shared:,} also occur in train."]


def _selection(options: ExportOptions) -> list[str]:
    threshold = options.quality_threshold
    sentences = [
        f"A trace qualifies with a score of at least {threshold}." if threshold is not None else "Any trace qualifies."
    ]
    if options.unit is Unit.PAIR:
        sentences.append("Chosen is the best qualifying trace of a case, rejected the worst.")
        if options.min_margin:
            sentences.append(f"Their scores differ by at least {options.min_margin}.")
    if options.target_format.labelled:
        limit = options.label_threshold
        rule = "its verdict is `pass`" if limit is None else f"its score is at least {limit}"
        sentences.append(f"A completion is a good one if {rule}.")
    if options.test_fraction:
        what = "prompts, with the cases that have them," if options.splits_by_prompt else "cases"
        sentences.append(
            f"A share of {options.test_fraction} of the {what} is the test split, by a hash with seed"
            f" {options.repository.seed}."
        )
    return sentences
