"""The dataset card: YAML for `load_dataset`, then text for people."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

import pyarrow as pa

from polars_export.writers.markdown import bullets as _list
from polars_export.writers.markdown import cell as _cell
from polars_export.writers.markdown import code_span as _code
from polars_export.writers.markdown import escaped as _escaped
from polars_export.writers.markdown import heading as _heading
from polars_export.writers.markdown import longest_backticks as _longest_backticks
from polars_export.writers.markdown import printable as _printable
from polars_export.writers.markdown import python_block as _python
from polars_export.writers.markdown import size_category
from polars_export.writers.markdown import yaml_text as _yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from polars_export.targets import UsageGuide
    from polars_export.writers.dataset_repository import Shard

__all__ = ["CardFacts", "Turns", "features", "render_card"]


_TEXT = 200  # characters of a string in the sample record
_ITEMS = 8  # elements of a list in the sample record
_DEPTH = 12  # levels of the sample record
_BAR = 40  # characters of the longest bar of the histogram
_EIGHTHS = " ▏▎▍▌▋▊▉"


_FOLDER = "path/to/this/folder"


@dataclass(frozen=True, slots=True)
class Turns:
    """How many turns a trace has."""

    least: int
    median: float
    most: int

    @classmethod
    def of(cls, traces: Mapping[int, int]) -> Turns | None:
        """Return the figures of so many traces by their number of turns, or None where there are none."""
        if not traces:
            return None
        total = sum(traces.values())
        ranks = accumulate(traces[turns] for turns in sorted(traces))
        reached = list(zip(ranks, sorted(traces), strict=True))
        middle = [next(turns for rank, turns in reached if rank > place) for place in ((total - 1) // 2, total // 2)]
        return cls(min(traces), sum(middle) / 2, max(traces))


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What a card says. Any text may come from the input: none of it is taken for markup.

    Attributes:
        title: Name of the dataset.
        format_name: The shape of a record.
        target: Who reads the records.
        sources: Where the traces were read.
        selection: How traces were chosen: one plain sentence each.
        traces_read: Number of traces read.
        exported: Number of traces in the records.
        dropped: Number of traces dropped, by reason.
        examples: A case of one of them, by reason.
        dropped_content: Content that the records could not carry: how many pieces of each kind.
        scores: Bins of the scores of the exported traces, lowest first: from, to, number of traces.
        unscored: Number of exported traces without a score.
        models: Number of exported traces of each model.
        turns: Turns of the exported traces.
        sample: One record as JSON.
        usage: Says how to train with the data.
        schema: The columns of a record.
        shards: The files, in order.
    """

    title: str
    format_name: str
    target: str
    schema: pa.Schema
    shards: Sequence[Shard]
    traces_read: int
    exported: int
    sources: Sequence[str] = ()
    selection: Sequence[str] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)
    dropped_content: Mapping[str, int] = field(default_factory=dict)
    scores: Sequence[tuple[float, float, int]] = ()
    unscored: int = 0
    models: Mapping[str, int] = field(default_factory=dict)
    turns: Turns | None = None
    sample: str | None = None
    usage: UsageGuide | None = None


def render_card(facts: CardFacts) -> str:
    """Return `README.md`: front matter that `load_dataset` checks the data against, then the text.

    Raises:
        TypeError: A column has a type that records never have.
    """
    paragraphs = [
        f"# {_heading(facts.title)}",
        _summary(facts),
        *_origin(facts),
        *_content(facts),
        *_sample(facts.sample),
        *_use(facts),
    ]
    text = f"---\n{_yaml(_front_matter(facts))}---\n\n" + "\n\n".join(paragraphs) + "\n"
    return text.encode(errors="replace").decode()  # a path may hold what is no text


def features(schema: pa.Schema) -> list[dict[str, object]]:
    """Return a schema in the spelling of `datasets`: what `Features(...)._to_yaml_list()` returns for it.

    Raises:
        TypeError: A column has a type that records never have.
    """
    return [{"name": column.name, **_feature(column.type)} for column in schema]


def _feature(kind: pa.DataType) -> dict[str, object]:
    if isinstance(kind, pa.JsonType):
        return {"dtype": "json"}
    if pa.types.is_struct(kind):
        return {"struct": [{"name": part.name, **_feature(part.type)} for part in kind]}
    if pa.types.is_list(kind):
        inner = _feature(kind.value_type)
        alone = next(iter(inner))  # `list: string` and `list: [fields]` for short, but `list: {list: …}`
        return {"list": inner if alone == "list" else inner[alone]}
    if pa.types.is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return {"dtype": str(kind)}
    if pa.types.is_floating(kind):
        return {"dtype": f"float{kind.bit_width}"}
    raise TypeError(f"records have no columns of type {kind}")


def _front_matter(facts: CardFacts) -> dict[str, object]:
    rows = sum(shard.rows for shard in facts.shards)
    splits = _splits(facts)
    return {
        "pretty_name": facts.title.encode(errors="replace").decode(),  # no reader takes half a character
        "size_categories": [size_category(rows)],
        "task_categories": ["text-generation"],
        "tags": ["agent-traces", "polars-export", str(facts.format_name), facts.target],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"data/{split}-*"} for split in splits],
            }
        ],
        "dataset_info": {
            "features": features(facts.schema),
            "splits": [
                {
                    "name": split,
                    "num_bytes": sum(shard.num_bytes for shard in shards),
                    "num_examples": sum(shard.rows for shard in shards),
                }
                for split, shards in splits.items()
            ],
            "download_size": sum(shard.bytes for shard in facts.shards),
            "dataset_size": sum(shard.num_bytes for shard in facts.shards),
        },
    }


def _splits(facts: CardFacts) -> dict[str, list[Shard]]:
    splits: dict[str, list[Shard]] = {}
    for shard in facts.shards:
        splits.setdefault(shard.split, []).append(shard)
    return splits


def _origin(facts: CardFacts) -> Iterator[str]:
    yield "## Where it comes from"
    if facts.sources:
        yield _list([_code(source) for source in facts.sources])
    yield "## How it was selected"
    if facts.selection:
        yield "\n".join(f"- {_escaped(sentence)}" for sentence in facts.selection)
    counts = {"traces read": facts.traces_read, "exported": facts.exported}
    lines = [f"| {name} | {count:,} |" for name, count in counts.items()]
    for reason, count in facts.dropped.items():
        such_as = f", such as {_cell(facts.examples[reason])}" if reason in facts.examples else ""
        lines += [f"| dropped: {_cell(reason)}{such_as} | {count:,} |"] if count else []
    yield "\n".join(["| | traces |", "| --- | ---: |", *lines])
    lost = [f"{_code(kind)}: {count:,}" for kind, count in facts.dropped_content.items() if count]
    if lost:
        yield "What the records could not carry:"
        yield _list(lost)


def _content(facts: CardFacts) -> Iterator[str]:
    yield "## What is in it"
    rows = [
        f"| {_cell(split)} | {sum(shard.rows for shard in shards):,} | {len(shards):,} |"
        f" {sum(shard.bytes for shard in shards):,} |"
        for split, shards in _splits(facts).items()
    ]
    yield "\n".join(["| split | records | files | bytes |", "| --- | ---: | ---: | ---: |", *rows])
    if facts.turns:
        turns = facts.turns
        yield f"Turns per trace: {turns.least:,} at least, {turns.median:,g} in the middle, {turns.most:,} at most."
    if facts.models:
        yield "Models, by the traces exported:"
        ranked = sorted(facts.models.items(), key=lambda item: (-item[1], item[0]))
        yield _list([f"{_code(model)}: {count:,}" for model, count in ranked])
    if any(count for _, _, count in facts.scores):
        yield "Scores of the traces exported:"
        yield "\n".join(["```text", *_histogram(facts.scores), "```"])
    if facts.unscored:
        yield f"Traces without a score: {facts.unscored:,}."


def _histogram(scores: Sequence[tuple[float, float, int]]) -> list[str]:
    labels = [f"{low:.4g} to {high:.4g}" for low, high, _ in scores]
    numbers = [f"{count:,}" for _, _, count in scores]
    width, digits = max(map(len, labels)), max(map(len, numbers))
    top = max(count for _, _, count in scores)
    return [
        f"{label:>{width}}  {number:>{digits}}  {_bar(count, top)}".rstrip()
        for label, number, (_, _, count) in zip(labels, numbers, scores, strict=True)
    ]


def _bar(count: int, top: int) -> str:
    eighths = -(-count * _BAR * 8 // top)  # rounded up: one trace in a million is seen
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _sample(sample: str | None) -> Iterator[str]:
    if sample is None:
        return
    yield "## A record"
    try:
        text = json.dumps(_shortened(json.loads(sample), _DEPTH), indent=2, ensure_ascii=False)
    except (RecursionError, ValueError):  # a number of more digits than Python reads
        yield "It is nested too deeply, or its numbers are too long, to be shown."
        return
    fence = "`" * max(3, _longest_backticks(text) + 1)
    yield "Long texts and lists are cut, which `…` shows."
    yield f"{fence}json\n{text}\n{fence}"


def _shortened(value: object, depth: int) -> object:
    if isinstance(value, str):
        shown = _printable(value, keep="\n\t")
        return shown if len(shown) <= _TEXT else f"{shown[:_TEXT]}… ({len(value):,} characters)"
    if not depth and isinstance(value, (list, dict)):
        return "…"
    if isinstance(value, list):
        items = [_shortened(item, depth - 1) for item in value[:_ITEMS]]
        return items if len(value) <= _ITEMS else [*items, f"… ({len(value):,} elements)"]
    if isinstance(value, dict):
        return {_printable(key)[:_TEXT]: _shortened(item, depth - 1) for key, item in value.items()}
    return value


def _use(facts: CardFacts) -> Iterator[str]:
    split = next(iter(_splits(facts)), "train")
    yield "## How to use it"
    newest = " (`arguments` are objects: `datasets` 4.7 or newer)" if "arrow.json" in str(facts.schema) else ""
    yield f"Load it from this folder, or by its name once it is on the hub{newest}:"
    yield _python("from datasets import load_dataset", "", f'data = load_dataset("{_FOLDER}", split="{split}")')
    if facts.usage:
        yield from facts.usage(facts.format_name, _FOLDER, split)


def _summary(facts: CardFacts) -> str:
    rows = sum(shard.rows for shard in facts.shards)
    records = "record" if rows == 1 else "records"
    return (
        f"{rows:,} {records} in the {_code(facts.format_name)} format for {_code(facts.target)}, made from"
        f" {facts.exported:,} of {facts.traces_read:,} recorded agent traces by polars-export."
        " The exact account, with the checksum of every file, is in `manifest.json`."
    )
