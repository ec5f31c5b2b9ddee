"""A card loads with the real `datasets`, tells a person what there is, and cannot be broken by what it quotes."""

from __future__ import annotations

import json
import os
import statistics
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pytest
from markdown_it import MarkdownIt

from polars_export.targets import targets
from polars_export.writers.card import CardFacts, Turns, features, render_card
from polars_export.writers.dataset_repository import Plan, Shard
from tests.outputs import open_records

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # read when `datasets` is imported, which only tests do

THIRD_PARTY = pytest.mark.filterwarnings(  # of `datasets` and what it imports
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)

CALL = pa.struct({"id": pa.string(), "function": pa.struct({"name": pa.string(), "arguments": pa.json_()})})
MESSAGE = pa.struct({"role": pa.string(), "content": pa.string(), "tool_calls": pa.list_(CALL)})
SCHEMA = pa.schema(
    {
        "messages": pa.list_(MESSAGE),
        "tools": pa.list_(pa.json_()),
        "label": pa.bool_(),
        "metadata": pa.struct({"case_id": pa.string(), "score": pa.float64(), "turns": pa.int64()}),
    }
)
OTHER = pa.schema(
    {
        "yes": pa.list_(pa.string()),
        "nested": pa.list_(pa.list_(pa.list_(MESSAGE))),
        "extra": pa.json_(),
        "small": pa.list_(pa.list_(pa.float32())),
        'od: "d\n- é😀': pa.struct({"null": pa.list_(pa.json_()), "u": pa.uint8()}),
    }
)
ROWS: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": "hi"}], "metadata": {"case_id": "a", "score": 0.5, "turns": 1}},
    {
        "messages": [
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{"b":[1,{"c":null}]}'}}],
            }
        ],
        "tools": ['{"name":"f"}', '{"parameters":{}}'],
        "label": True,
    },
]
SHARDS = (
    Shard("data/train-00000-of-00002.parquet", "train", rows=700, bytes=7_000, sha256="0" * 64, num_bytes=70_000),
    Shard("data/train-00001-of-00002.parquet", "train", rows=800, bytes=8_000, sha256="0" * 64, num_bytes=80_000),
    Shard("data/test-00000-of-00001.parquet", "test", rows=2, bytes=20, sha256="0" * 64, num_bytes=200),
)
HOSTILE = [
    "`",
    "``` \n```",
    "\n# heading",
    "\n---\n- x: y",
    "<script>alert(1)</script>",
    "](https://example.org) ![x](y)",
    "a | b \\| c",
    "*x* _y_ ~~z~~ &lt;",
    "\u202egnp.exe",
    "\u2028\x85\x00\x1b[31m",
    " ",
    "",
    "\udcff",
    "'\": {}[]",
    "x" * 5_000,
]


def card(schema: pa.Schema = SCHEMA, shards: Sequence[Shard] = SHARDS, **facts: Any) -> str:  # noqa: ANN401 - any field
    given: dict[str, Any] = {"title": "airline", "format_name": "chatml", "target": "trl"}
    given["usage"] = targets()[str(facts.get("target", "trl"))].usage
    counts = {"traces_read": 2_000, "exported": 1_502}
    return render_card(CardFacts(**{**given, **counts, "schema": schema, "shards": shards, **facts}))


def front_matter(text: str) -> Any:  # noqa: ANN401 - what YAML holds
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(text.split("\n---\n", 1)[0])


def body(text: str) -> str:
    return text.split("\n---\n", 1)[1]


def load(path: Path | str, cache: Path, split: str | None = None) -> Any:  # noqa: ANN401 - a dataset or a dict of them
    datasets = pytest.importorskip("datasets", minversion="4.7")
    datasets.disable_progress_bars()
    return datasets.load_dataset(str(path), split=split, cache_dir=str(cache))


@THIRD_PARTY
@pytest.mark.parametrize("schema", [SCHEMA, OTHER], ids=["records", "other"])
def test_features_are_spelt_as_datasets_spells_them(schema: pa.Schema) -> None:
    datasets = pytest.importorskip("datasets", minversion="4.7")
    expected = datasets.Features.from_arrow_schema(schema)
    assert features(schema) == expected._to_yaml_list()  # noqa: SLF001 - the spelling has no other name
    info = front_matter(card(schema))["dataset_info"]
    assert datasets.Features._from_yaml_list(info["features"]) == expected  # noqa: SLF001


def test_a_type_that_no_record_has_is_refused() -> None:
    with pytest.raises(TypeError, match="records have no columns of type large_string"):
        features(pa.schema({"text": pa.large_string()}))


@THIRD_PARTY
@pytest.mark.parametrize("file_type", ["parquet", "jsonl"])
@pytest.mark.parametrize("first", [0, 1])
def test_a_folder_loads_with_its_splits_and_types(
    file_type: Literal["parquet", "jsonl"], first: int, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    with open_records(folder, SCHEMA, Plan(file_type, 400, overwrite=False), absent=["tool_calls"]) as writer:
        kinds = [ROWS[first]] * 5 + [ROWS[1 - first]] * 5  # whole shards hold nulls alone
        writer.write("train", pa.Table.from_pylist(kinds, as_text()))
        writer.write("test", pa.Table.from_pylist([ROWS[first]], as_text()))
        shards = writer.finish()
        assert len(shards) > 2
        writer.add_file("README.md", card(shards=shards))
        writer.add_file("manifest.json", '{"not": "data"}')
        writer.add_file("dataset_info.json", '{"train": {}}')
    loaded = load(folder, tmp_path / "cache")
    datasets = pytest.importorskip("datasets")
    assert {name: split.num_rows for name, split in loaded.items()} == {"train": 10, "test": 1}
    assert loaded["train"].features == datasets.Features.from_arrow_schema(SCHEMA)
    called = loaded["train"][9 * (1 - first)]
    assert called["messages"][0]["tool_calls"][0]["function"]["arguments"] == {"b": [1, {"c": None}]}
    assert called["tools"] == [{"name": "f"}, {"parameters": {}}]
    assert called["label"] is True
    plain = loaded["train"][9 * first]
    assert plain["metadata"] == {"case_id": "a", "score": 0.5, "turns": 1}
    assert plain["messages"][0]["tool_calls"] is None
    info = front_matter((folder / "README.md").read_text())["dataset_info"]
    counts = {split["name"]: (split["num_examples"], split["num_bytes"]) for split in info["splits"]}
    for name in ("train", "test"):
        mine = [shard for shard in shards if shard.split == name]
        assert counts[name] == (loaded[name].num_rows, sum(shard.num_bytes for shard in mine))


def as_text() -> pa.Schema:
    call = pa.struct({"id": pa.string(), "function": pa.struct({"name": pa.string(), "arguments": pa.string_view()})})
    message = pa.struct({"role": pa.string(), "content": pa.string(), "tool_calls": pa.list_(call)})
    columns = {"messages": pa.list_(message), "tools": pa.list_(pa.string_view())}
    return pa.schema({name: columns.get(name, SCHEMA.field(name).type) for name in SCHEMA.names})


@THIRD_PARTY
def test_a_card_that_counts_wrong_would_not_load(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with open_records(folder, SCHEMA, Plan("parquet", 400, overwrite=False)) as writer:
        writer.write("train", pa.Table.from_pylist(ROWS, as_text()))
        writer.add_file("README.md", card(shards=SHARDS[:2]))
    with pytest.raises(Exception, match="num_examples=1500") as caught:
        load(folder, tmp_path / "cache", "train")
    assert type(caught.value).__name__ == "NonMatchingSplitsSizesError"


def test_front_matter_says_what_the_hub_shows() -> None:
    matter = front_matter(card())
    assert matter["size_categories"] == ["1K<n<10K"]
    assert matter["task_categories"] == ["text-generation"]
    assert matter["tags"] == ["agent-traces", "polars-export", "chatml", "trl"]
    assert matter["configs"] == [
        {
            "config_name": "default",
            "data_files": [
                {"split": "train", "path": "data/train-*"},
                {"split": "test", "path": "data/test-*"},
            ],
        }
    ]
    assert matter["dataset_info"]["splits"] == [
        {"name": "train", "num_bytes": 150_000, "num_examples": 1_500},
        {"name": "test", "num_bytes": 200, "num_examples": 2},
    ]
    assert (matter["dataset_info"]["download_size"], matter["dataset_info"]["dataset_size"]) == (15_020, 150_200)


@pytest.mark.parametrize(("rows", "size"), [(999, "n<1K"), (1_000, "1K<n<10K"), (10**9, "n>1B")])
def test_size_categories_begin_where_they_say(rows: int, size: str) -> None:
    shard = Shard("data/train-00000-of-00001.parquet", "train", rows=rows, bytes=1, sha256="", num_bytes=1)
    assert front_matter(card(shards=[shard]))["size_categories"] == [size]


def test_the_text_says_where_the_data_comes_from_and_how_it_was_selected() -> None:
    text = body(
        card(
            sources=["runs/a.jsonl", "runs/b.jsonl"],
            selection=["A trace qualifies with a score of at least 0.5."],
            dropped={"below_threshold": 498, "tied": 0},
            dropped_content={"images": 1_200, "thinking": 0},
            models={"small": 2, "big": 1_500},
            turns=Turns.of({40: 1, 3: 1, 1: 1, 2: 1}),
        )
    )
    assert "1,502 records in the `chatml` format for `trl`, made from 1,502 of 2,000 recorded agent traces" in text
    assert "- `runs/a.jsonl`\n- `runs/b.jsonl`" in text
    assert "- A trace qualifies with a score of at least 0.5." in text
    assert "| dropped: `below_threshold` | 498 |" in text
    assert "tied" not in text
    assert "- `images`: 1,200" in text
    assert "thinking" not in text
    assert "- `big`: 1,500\n- `small`: 2" in text
    assert "Turns per trace: 1 at least, 2.5 in the middle, 40 at most." in text
    assert "| `train` | 1,500 | 2 | 15,000 |" in text


@pytest.mark.parametrize("turns", [[7], [2, 2, 9], [1, 1, 3, 3], [5, 1, 4, 1, 1, 1], [1, 2, 2, 2, 40, 41]])
def test_the_turns_of_traces_are_told_by_their_least_median_and_most(turns: list[int]) -> None:
    assert Turns.of(Counter(turns)) == Turns(min(turns), statistics.median(turns), max(turns))


def test_no_traces_have_no_turns_to_tell_of() -> None:
    assert Turns.of({}) is None


def test_the_histogram_shows_every_bin_and_even_one_trace_in_a_million() -> None:
    bins = [(step / 10, (step + 1) / 10, count) for step, count in enumerate([0, 1, 0, 0, 0, 0, 0, 0, 500_000, 10**6])]
    text = body(card(scores=bins))
    drawn = text.split("```text\n")[1].split("\n```")[0].splitlines()
    assert len(drawn) == 10
    assert drawn[0] == "  0 to 0.1          0"
    assert drawn[1].split() == ["0.1", "to", "0.2", "1", "▏"]
    assert drawn[8].endswith(f"500,000  {'█' * 20}")
    assert drawn[9].endswith(f"1,000,000  {'█' * 40}")
    assert "```text" not in card(scores=[(0.0, 1.0, 0)])


def test_a_sample_is_shown_with_its_long_parts_cut() -> None:
    text = body(card(sample='{"long":"' + "x" * 1_000 + '","many":[' + ",".join("0" * 50) + '],"s":"```"}'))
    shown = text.split("````json\n")[1].split("\n````")[0]
    assert '"long": "' + "x" * 200 + '… (1,000 characters)"' in shown
    assert "… (50 elements)" in shown
    assert '"s": "```"' in shown


@pytest.mark.parametrize("sample", ['{"a":' + "[" * 100_000 + "]" * 100_000 + "}", '{"a":' + "9" * 5_000 + "}"])
def test_a_sample_that_python_cannot_read_is_not_shown(sample: str) -> None:
    assert "to be shown" in card(sample=sample)


@pytest.mark.parametrize(
    ("format_name", "target", "expected"),
    [
        ("chatml", "trl", "from trl import SFTConfig, SFTTrainer"),
        ("prompt-completion", "trl", "from trl import SFTConfig, SFTTrainer"),
        ("dpo", "trl", "from trl import DPOConfig, DPOTrainer"),
        ("kto", "trl", "from trl import KTOConfig, KTOTrainer"),
        ("dpo", "llamafactory", "stage: dpo\ndataset_dir: path/to/this/folder\ndataset: train"),
        ("chatml", "openai", "--file-type jsonl"),
    ],
)
def test_the_card_says_how_to_train(format_name: str, target: str, expected: str) -> None:
    text = body(card(format_name=format_name, target=target))
    assert expected in text
    for block in text.split("```python\n")[1:]:
        compile(block.split("\n```")[0], "card", "exec")


def test_only_objects_need_a_new_datasets() -> None:
    assert "4.7 or newer" in card()
    assert "4.7 or newer" not in card(pa.schema({"text": pa.string()}))


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_no_quoted_text_breaks_out(hostile: str) -> None:
    def told(text: str) -> str:
        return card(
            title=text,
            sources=[text, "next"],
            selection=[f"From {text}"],
            dropped={text: 1},
            dropped_content={text: 1},
            models={text: 1},
            sample=json.dumps({"a": text, text: [text]}),
        )

    assert shape(body(told(hostile))) == shape(body(told("harmless")))
    assert front_matter(told(hostile))["pretty_name"] == hostile.replace("\udcff", "?")
    assert {**front_matter(told(hostile)), "pretty_name": ""} == {**front_matter(told("x")), "pretty_name": ""}
    assert body(told(hostile)).replace("\n", "").isprintable()


def shape(text: str) -> list[str]:
    """Return the structure of a text as Markdown: its tokens but for what is written in them."""
    tokens = MarkdownIt("commonmark", {"linkify": False}).enable(["table", "strikethrough"]).parse(text)
    inside = [child.type for token in tokens for child in token.children or () if child.type not in HARMLESS]
    return [token.type for token in tokens] + inside


HARMLESS = {"text", "code_inline", "text_special"}
