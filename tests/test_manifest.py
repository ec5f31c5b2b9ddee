"""The manifest is the same for the same export, and LLaMA-Factory's entry loads the folder."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from polars_export.formats.llamafactory.dataset_info import dataset_files
from polars_export.writers.dataset_repository import Plan, Shard
from polars_export.writers.manifest import ManifestFile, SideInputFiles, render_manifest
from tests.outputs import open_records
from tests.test_card import card, load

if TYPE_CHECKING:
    from pathlib import Path

SHARD = Shard("data/train-00000-of-00001.parquet", "train", rows=3, bytes=70, sha256="ab" * 32, num_bytes=90)


def manifest(seconds: float = 1.23456, *, swapped: bool = False, path: str = "b.jsonl") -> str:
    step = -1 if swapped else 1
    counts: list[tuple[str, int | dict[str, int]]] = [
        ("traces_read", 5),
        ("dropped", dict([("tied", 1), ("identical", 2)][::step])),
    ]
    return render_manifest(
        sources=[ManifestFile(path, 10, "0123"), ManifestFile("-", None, None)],
        source_checksum="of samples",
        side_inputs=SideInputFiles([ManifestFile("set.json", 4, "ab" * 32)], ManifestFile("tools.json", 5, "cd" * 32)),
        options=dict([("format", "dpo"), ("target", "trl")][::step]),
        counts=dict(counts[::step]),
        shards=[SHARD],
        timings=dict([("write", seconds), ("decode", 2.0)][::step]),
    )


def test_the_manifest_holds_the_whole_account() -> None:
    read = json.loads(manifest())
    assert read["sources"] == [
        {"path": "b.jsonl", "bytes": 10, "checksum": "0123"},
        {"path": "-", "bytes": None, "checksum": None},
    ]
    assert read["source_checksum"] == "of samples"
    assert read["prompts"] == [{"path": "set.json", "bytes": 4, "sha256": "ab" * 32}]
    assert read["tools"] == {"path": "tools.json", "bytes": 5, "sha256": "cd" * 32}
    assert read["options"] == {"format": "dpo", "target": "trl"}
    assert read["counts"] == {"traces_read": 5, "dropped": {"tied": 1, "identical": 2}}
    assert read["shards"] == [
        {
            "path": "data/train-00000-of-00001.parquet",
            "split": "train",
            "rows": 3,
            "bytes": 70,
            "sha256": "ab" * 32,
            "num_bytes": 90,
        }
    ]
    assert read["timings"] == {"write": 1.235, "decode": 2.0}
    assert set(read["versions"]) == {"polars_export", "polars", "pyarrow", "msgspec"}
    assert read["versions"]["pyarrow"] == pa.__version__


def test_two_manifests_of_one_export_differ_in_their_timings_alone() -> None:
    assert manifest(swapped=True) == manifest()
    start = manifest().index('  "timings"')
    assert manifest(9.0) != manifest()
    assert manifest(9.0)[:start] == manifest()[:start]


def test_a_path_that_is_no_text_does_not_spoil_the_manifest() -> None:
    text = manifest(path=os.fsdecode(b"a\xff\n\"b'.jsonl"))
    assert json.loads(text.encode("utf-8"))["sources"][0]["path"] == "a?\n\"b'.jsonl"


def columns_of(format_name: str) -> dict[str, str]:
    entry = json.loads(dataset_files(format_name, ["train"])["dataset_info.json"])["train"]
    assert entry.get("ranking", False) == (format_name == "dpo")
    columns: dict[str, str] = entry["columns"]
    return columns


def test_ranking_data_and_labels_are_named() -> None:
    common = {"messages": "conversations", "system": "system", "tools": "tools"}
    assert columns_of("sharegpt") == common
    assert columns_of("dpo") == common | {"chosen": "chosen", "rejected": "rejected"}
    assert columns_of("kto") == common | {"kto_tag": "kto_tag"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
def test_each_entry_loads_its_split_of_the_folder_as_llama_factory_does(tmp_path: Path) -> None:
    message = pa.struct({"from": pa.string(), "value": pa.string()})
    schema = pa.schema({"conversations": pa.list_(message), "system": pa.string(), "tools": pa.string()})
    folder = tmp_path / "out"
    info_text = dataset_files("sharegpt", ["train", "test"])["dataset_info.json"]
    with open_records(folder, schema, Plan("parquet", 1, overwrite=False)) as writer:
        for split, count in (("train", 3), ("test", 2)):
            rows = [{"conversations": [{"from": "human", "value": f"{split}{row}"}]} for row in range(count)]
            writer.write(split, pa.Table.from_pylist(rows, schema))
        shards = writer.finish()
        writer.add_file("README.md", card(schema, shards, format_name="sharegpt", target="llamafactory"))
        writer.add_file("dataset_info.json", info_text)
        writer.add_file("manifest.json", manifest())
    info = json.loads(info_text)
    for split, count in (("train", 3), ("test", 2)):
        entry = info[split]
        path = os.path.join(folder, entry["script_url"])  # noqa: PTH118 - how loader.py makes the path of `script_url`
        rows = list(load(path, tmp_path / "cache", split=entry["split"]))
        texts = [row[entry["columns"]["messages"]][0]["value"] for row in rows]
        assert texts == [f"{split}{row}" for row in range(count)]
        assert all(row[entry["columns"][column]] is None for row in rows for column in ("system", "tools"))
