"""The dataset card of stored tables: two configurations, `traces` and `turns`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from polars_export.writers.card import features
from polars_export.writers.markdown import bullets, cell, code_span, heading, python_block, size_category, yaml_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from polars_export.writers.dataset_repository import Shard

__all__ = ["TablesFacts", "render_tables_card"]

_FOLDER = "path/to/this/folder"
_SUMMARY = (
    "{traces:,} recorded agent traces and their {turns:,} turns as two tables, stored by polars-export. The exact"
    " account, with the checksum of every file, is in `manifest.json`."
)
_COLUMNS = (
    "A row of `traces` is a trace, a row of `turns` is a message of the assistant with its tool calls and their"
    " results, in the order of the traces. The column `trace` joins them; its numbers ascend, with gaps."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TablesFacts:
    """What a card says of stored tables; any text may come from the input.

    Attributes:
        title: Name of the dataset.
        schemas: The schema of each table, by its name.
        shards: The files, in order; the split of each is the name of its table.
        sources: Where the traces were read.
        traces_read: Number of traces read.
        dropped: Number of traces that are not in the tables, by reason.
        models: Number of traces of each model.
    """

    title: str
    schemas: Mapping[str, pa.Schema]
    shards: Sequence[Shard]
    sources: Sequence[str]
    traces_read: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    models: Mapping[str, int] = field(default_factory=dict)

    def rows(self, table: str) -> int:
        """Return the number of rows of a table."""
        return sum(shard.rows for shard in self.shards if shard.split == table)


def render_tables_card(facts: TablesFacts) -> str:
    """Return `README.md`: front matter that `load_dataset` checks the tables against, then the text."""
    paragraphs = [
        f"# {heading(facts.title)}",
        _SUMMARY.format(traces=facts.rows("traces"), turns=facts.rows("turns")),
        _COLUMNS,
        "## Where it comes from",
        bullets([code_span(source) for source in facts.sources]),
        _account(facts),
        *_models(facts),
        "## How to use it",
        "Load a table from this folder, or by its name once it is on the hub:",
        python_block(
            "from datasets import load_dataset", "", f'turns = load_dataset("{_FOLDER}", "turns", split="train")'
        ),
        "Or query it, or make records for a trainer of it:",
        python_block(
            "import polars_export as pe",
            "",
            f'tables = pe.scan_tables("{_FOLDER}")',
            f'pe.export("{_FOLDER}", "train.jsonl", pe.ExportOptions("chatml", target="trl"))',
        ),
    ]
    text = f"---\n{yaml_text(_front_matter(facts))}---\n\n" + "\n\n".join(paragraphs) + "\n"
    return text.encode(errors="replace").decode()  # a path may hold what is no text


def _front_matter(facts: TablesFacts) -> dict[str, object]:
    return {
        "pretty_name": facts.title.encode(errors="replace").decode(),
        "size_categories": [size_category(facts.rows("traces"))],
        "tags": ["agent-traces", "polars-export"],
        "configs": [
            {"config_name": name, "data_files": [{"split": "train", "path": f"data/{name}-*"}]}
            for name in facts.schemas
        ],
        "dataset_info": [_info(facts, name) for name in facts.schemas],
    }


def _info(facts: TablesFacts, table: str) -> dict[str, object]:
    shards = [shard for shard in facts.shards if shard.split == table]
    num_bytes = sum(shard.num_bytes for shard in shards)
    return {
        "config_name": table,
        "features": features(facts.schemas[table]),
        "splits": [{"name": "train", "num_bytes": num_bytes, "num_examples": facts.rows(table)}],
        "download_size": sum(shard.bytes for shard in shards),
        "dataset_size": num_bytes,
    }


def _account(facts: TablesFacts) -> str:
    lines = [f"| traces read | {facts.traces_read:,} |", f"| stored | {facts.rows('traces'):,} |"]
    lines += [f"| dropped: {cell(reason)} | {count:,} |" for reason, count in facts.dropped.items() if count]
    return "\n".join(["| | traces |", "| --- | ---: |", *lines])


def _models(facts: TablesFacts) -> list[str]:
    if not facts.models:
        return []
    ranked = sorted(facts.models.items(), key=lambda item: (-item[1], item[0]))
    return ["Models, by their traces:", bullets([f"{code_span(model)}: {count:,}" for model, count in ranked])]
