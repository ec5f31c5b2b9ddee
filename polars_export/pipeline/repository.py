"""Write records as a dataset repository, and gather on the way what its card and manifest tell."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from polars_export.formats import record_format
from polars_export.options import Target, TrainingFormat
from polars_export.writers import encode
from polars_export.writers.card import CardFacts, Turns, render_card
from polars_export.writers.dataset import Plan, open_dataset
from polars_export.writers.manifest import render_dataset_info, render_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polars_export.options import ExportOptions
    from polars_export.pipeline.render import Piece
    from polars_export.report import ExportReport
    from polars_export.writers.dataset import DatasetWriter, Shard

__all__ = ["Repository", "split_of_cases"]

_BINS = 10


@dataclass(slots=True)
class _Seen:
    """What the card tells of the exported traces: two numbers each, and their models."""

    scores: list[pl.Series] = field(default_factory=list)
    turns: list[pl.Series] = field(default_factory=list)
    models: Counter[str] = field(default_factory=Counter)
    sample: str | None = None

    def add(self, traces: pl.DataFrame) -> None:
        self.scores.append(traces["score"])
        self.turns.append(traces["turns"])
        self.models.update(dict(traces["model_id"].value_counts().iter_rows()))

    def histogram(self) -> list[tuple[float, float, int]]:
        """Return ten bins of equal width over the scores: from, to, number of traces."""
        scores = pl.concat(self.scores).filter(pl.concat(self.scores).is_finite())
        if not len(scores):
            return []
        low, high = min(0.0, float(scores.min())), max(1.0, float(scores.max()))  # type: ignore[arg-type]
        width = (high - low) / _BINS
        places = ((scores - low) / width).floor().clip(0, _BINS - 1).cast(pl.UInt8)
        counts = Counter(places.to_list())
        return [(low + place * width, low + (place + 1) * width, counts[place]) for place in range(_BINS)]


class Repository:
    """A dataset repository under way."""

    def __init__(self, output: str, options: ExportOptions) -> None:
        self._output = output
        self._options = options
        self._format = record_format(options)
        self._schema = self._format.schema(options)
        self._seen = _Seen()
        plan = Plan(options.file_type.value, options.max_shard_bytes, options.overwrite)
        self.opened = open_dataset(output, self._schema, self._format.ABSENT, plan)

    def write(self, writer: DatasetWriter, piece: Piece) -> None:
        """Write records into the split of their case."""
        rendered = piece.rendered
        self._seen.add(piece.exported_traces())
        if self._seen.sample is None:
            first = rendered.records.slice(0, 1)
            self._seen.sample = encode(first, self._schema, self._format.ABSENT).decode().rstrip("\n")
        if not self._options.test_fraction:
            writer.write("train", rendered.records)
            return
        in_test = split_of_cases(piece.tables.traces[rendered.rows], self._options)
        for split, rows in (("train", ~in_test), ("test", in_test)):
            if rows.any():
                kept = pl.DataFrame(rendered.records).filter(rows)  # Arrow itself filters no string views
                writer.write(split, kept.to_arrow(compat_level=pl.CompatLevel.newest()))

    def describe(self, writer: DatasetWriter, sources: Sequence[tuple[str, int | None]], report: ExportReport) -> None:
        """Write the card, the manifest and, for LLaMA-Factory, `dataset_info.json`."""
        shards = writer.finish()
        writer.add_file("README.md", render_card(self._facts(sources, shards, report)))
        counts: dict[str, int | dict[str, int]] = {
            "traces_read": report.traces_read,
            "exported": report.exported,
            "records": report.records,
            "left_out": {str(reason): count for reason, count in report.left_out.items()},
            "not_carried": report.not_carried,
        }
        manifest = render_manifest(
            sources=sources,
            options=self._options.as_dict(),
            counts=counts,
            shards=shards,
            timings={"seconds": report.seconds},
        )
        writer.add_file("manifest.json", manifest)
        if self._options.target is Target.LLAMAFACTORY:
            splits = list(dict.fromkeys(shard.split for shard in shards))
            info = render_dataset_info(self._options.format.value, splits, has_system=True, has_tools=True)
            writer.add_file("dataset_info.json", info)

    def _facts(
        self, sources: Sequence[tuple[str, int | None]], shards: Sequence[Shard], report: ExportReport
    ) -> CardFacts:
        name = os.path.basename(os.path.abspath(self._output))  # noqa: PTH100, PTH119 - a name, no file
        return CardFacts(
            title=name,
            format_name=self._options.format.value,
            target=self._options.target.value,
            schema=self._schema,
            shards=shards,
            traces_read=report.traces_read,
            exported=report.exported,
            sources=[path for path, _ in sources],
            selection=_selection(self._options),
            left_out={str(reason): count for reason, count in report.left_out.items()},
            not_carried=report.not_carried,
            scores=self._seen.histogram(),
            models=dict(self._seen.models),
            turns=Turns.of(pl.concat(self._seen.turns).to_list()),
            sample=self._seen.sample,
        )


def split_of_cases(traces: pl.DataFrame, options: ExportOptions) -> pl.Series:
    """Return for each trace whether its case belongs to the test split.

    That depends on the case and the seed alone, so that no case changes sides when runs or cases are added.
    """
    cases = traces.select("eval_set_id", "case_id")
    sides = {case: _share(case, options.seed) < options.test_fraction for case in cases.unique().iter_rows()}
    return pl.Series([sides[case] for case in cases.iter_rows()], dtype=pl.Boolean)


def _share(case: tuple[str | None, str], seed: int) -> float:
    """Return a number from 0 up to 1 that is spread evenly over the cases."""
    text = "\0".join([str(seed), *("" if part is None else f"+{part}" for part in case)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest()) / 2**56


def _selection(options: ExportOptions) -> list[str]:
    sentences = [f"A trace qualifies with a score of at least {options.quality_threshold}."]
    if options.format is TrainingFormat.DPO:
        sentences.append("Chosen is the best qualifying trace of a case, rejected the worst.")
        if options.min_margin:
            sentences.append(f"Their scores differ by at least {options.min_margin}.")
    if options.format is TrainingFormat.KTO:
        limit = options.label_threshold
        rule = "its verdict is `pass`" if limit is None else f"its score is at least {limit}"
        sentences.append(f"A completion is a good one if {rule}.")
    if options.test_fraction:
        sentences.append(
            f"A share of {options.test_fraction} of the cases is the test split, by a hash with seed {options.seed}."
        )
    return sentences
