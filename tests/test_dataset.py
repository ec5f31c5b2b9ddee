"""A dataset repository appears whole or not at all, and its shards depend on the rows alone."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polars_export.errors import OptionError, OutputError
from polars_export.writers import dataset_repository
from polars_export.writers.blocks import BLOCK_ROWS, row_bytes
from polars_export.writers.dataset_repository import Plan, check_directory
from tests.outputs import open_records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from polars_export.writers.dataset_repository import Shard

CALL = {"id": "c1", "function": {"name": "find", "arguments": '{"tool_calls":null,"id":12}'}}
ROWS: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": "x" * (index % 7)}], "tools": None, "label": None, "n": index}
    if index % 3
    else {"messages": [{"role": "assistant", "tool_calls": [CALL]}], "tools": ['{"name":"find"}'], "n": index}
    for index in range(2_500)
]


def schema(text: pa.DataType, nested: pa.DataType) -> pa.Schema:
    call = pa.struct({"id": text, "function": pa.struct({"name": text, "arguments": nested})})
    message = pa.struct({"role": text, "content": text, "tool_calls": pa.list_(call)})
    return pa.schema(
        {"messages": pa.list_(message), "tools": pa.list_(nested), "label": pa.bool_(), "n": pa.int64(), "any": nested}
    )


SCHEMA = schema(pa.string(), pa.json_())
TEXT_SCHEMA = schema(pa.string(), pa.string())
VIEWS = schema(pa.string_view(), pa.string_view())
RECORDS = pa.Table.from_pylist(ROWS, VIEWS)


def plan(
    file_type: Literal["parquet", "jsonl"] = "parquet", max_shard_bytes: int = 40_000, *, overwrite: bool = False
) -> Plan:
    return Plan(file_type, max_shard_bytes, overwrite)


def write(output: Path, made: Plan, sizes: Sequence[int] = (2_500,)) -> tuple[Shard, ...]:
    """Write the records, a tenth of them as the split `test`, in tables of the given sizes."""
    with open_records(output, SCHEMA, made, absent=["tool_calls"]) as writer:
        start = 0
        for size in sizes:
            part = ROWS[start : start + size]
            start += size
            for split in ("test", "train"):
                rows = [row for row in part if (row["n"] % 10 == 9) == (split == "test")]
                writer.write(split, pa.Table.from_pylist(rows, VIEWS))
        shards = writer.finish()
        writer.add_file("README.md", "read me\n")
    return shards


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


@pytest.mark.parametrize("file_type", ["parquet", "jsonl"])
def test_the_repository_holds_every_record_once_and_shards_say_what_they_are(
    file_type: Literal["parquet", "jsonl"], tmp_path: Path
) -> None:
    shards = write(tmp_path / "out", plan(file_type))
    files = contents(tmp_path / "out")
    assert sorted(files) == sorted(["README.md", *(shard.path for shard in shards)])
    assert [shard.split for shard in shards] == sorted((shard.split for shard in shards), key="train test".index)
    for split, expected in (("train", 2_250), ("test", 250)):
        mine = [shard for shard in shards if shard.split == split]
        names = [f"data/{split}-{index:05d}-of-{len(mine):05d}.{file_type}" for index in range(len(mine))]
        assert [shard.path for shard in mine] == names
        assert sum(shard.rows for shard in mine) == expected
    for shard in shards:
        data = files[shard.path]
        assert (shard.bytes, shard.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert shard.rows > 0


def test_parquet_shards_have_the_explicit_types_and_what_the_hub_asks_for(tmp_path: Path) -> None:
    shards = write(tmp_path / "out", plan())
    tables = [pq.read_table(tmp_path / "out" / shard.path) for shard in shards]
    assert all(table.schema.equals(SCHEMA) for table in tables)
    rows = [row for table in tables for row in table.to_pylist()]
    assert sorted(rows, key=lambda row: row["n"]) == RECORDS.to_pylist()
    metadata = pq.read_metadata(tmp_path / "out" / shards[0].path)
    assert json.loads(metadata.metadata[b"content_defined_chunking"]) == {
        "min_chunk_size": 262144,
        "max_chunk_size": 1048576,
        "norm_level": 0,
    }
    column = metadata.row_group(0).column(0)
    assert (column.compression, column.has_offset_index, column.has_column_index) == ("ZSTD", True, True)


def test_json_lines_hold_json_in_place_and_leave_out_absent_keys(tmp_path: Path) -> None:
    with open_records(tmp_path / "out", SCHEMA, plan("jsonl"), absent=["tool_calls"]) as writer:
        writer.write("train", RECORDS.slice(0, 2))
    lines = (tmp_path / "out/data/train-00000-of-00001.jsonl").read_text().splitlines()
    assert '"function":{"name":"find","arguments":{"tool_calls":null,"id":12}}' in lines[0]
    assert '"tools":[{"name":"find"}]' in lines[0]
    assert "tool_calls" not in lines[1]


@pytest.mark.parametrize("file_type", ["parquet", "jsonl"])
@pytest.mark.parametrize("sizes", [[900, *[1] * 300, 1_300], [999, 2, 1_499], [0, 1_000, 1_000, 500]])
def test_no_byte_depends_on_how_rows_arrive(
    file_type: Literal["parquet", "jsonl"], sizes: list[int], tmp_path: Path
) -> None:
    write(tmp_path / "once", plan(file_type))
    write(tmp_path / "parts", plan(file_type), sizes)
    assert contents(tmp_path / "parts") == contents(tmp_path / "once")


def test_a_shard_takes_rows_while_they_fit_and_always_one(tmp_path: Path) -> None:
    sizes = row_bytes(RECORDS.cast(TEXT_SCHEMA).to_batches()[0]).to_pylist()
    with open_records(tmp_path / "out", SCHEMA, plan(max_shard_bytes=sum(sizes[:4]))) as writer:
        writer.write("train", RECORDS.slice(0, 6))
        assert [shard.rows for shard in writer.finish()] == [4, 2]
        assert [shard.num_bytes for shard in writer.finish()] == [sum(sizes[:4]), sum(sizes[4:6])]
    with open_records(tmp_path / "ones", SCHEMA, plan(max_shard_bytes=1)) as writer:
        writer.write("train", RECORDS.slice(0, 3))
        assert [shard.rows for shard in writer.finish()] == [1, 1, 1]


def groups(path: Path) -> list[int]:
    metadata = pq.read_metadata(path)
    return [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]


def test_a_shard_ends_before_the_block_that_does_not_fit(tmp_path: Path) -> None:
    """What one process makes of a part is not cut again, so that it need not be decoded."""
    sizes = row_bytes(RECORDS.cast(TEXT_SCHEMA).to_batches()[0]).to_pylist()
    with open_records(tmp_path / "out", SCHEMA, plan(max_shard_bytes=sum(sizes[:9]))) as writer:
        for start, length in ((0, 3), (3, 3), (6, 3), (9, 2), (11, 6), (17, 5), (22, 1)):
            writer.write("train", RECORDS.slice(start, length))
            writer.next_part()
        shards = writer.finish()
    assert [shard.rows for shard in shards] == [9, 8, 6]
    assert all(shard.num_bytes <= sum(sizes[:9]) for shard in shards)
    assert groups(tmp_path / "out" / shards[0].path) == [3, 3, 3]
    rows = [row["n"] for shard in shards for row in pq.read_table(tmp_path / "out" / shard.path).to_pylist()]
    assert rows == list(range(23))


def test_row_groups_are_small_in_rows_and_in_bytes(tmp_path: Path) -> None:
    for name, most in (("rows", 1 << 30), ("bytes", 10_000)):
        with open_records(tmp_path / name, SCHEMA, plan(max_shard_bytes=1 << 30), block_bytes=most) as writer:
            writer.write("train", RECORDS)
    assert groups(tmp_path / "rows/data/train-00000-of-00001.parquet") == [BLOCK_ROWS, BLOCK_ROWS, 500]
    small = groups(tmp_path / "bytes/data/train-00000-of-00001.parquet")
    assert sum(small) == 2_500
    assert max(small) < 200


def test_no_rows_make_no_shard(tmp_path: Path) -> None:
    with open_records(tmp_path / "out", SCHEMA, plan()) as writer:
        writer.write("train", RECORDS)
        writer.write("test", RECORDS.slice(0, 0))
        assert {shard.split for shard in writer.finish()} == {"train"}


def size_of(value: object, kind: pa.DataType) -> int:
    """Return what `row_bytes` documents, value by value."""
    if isinstance(kind, pa.JsonType) or pa.types.is_string(kind):
        return 4 + len(str(value or "").encode())
    if pa.types.is_struct(kind):
        parts = value if isinstance(value, dict) else {}
        return sum(size_of(parts.get(part.name), part.type) for part in kind)
    if pa.types.is_list(kind):
        return 4 + sum(size_of(item, kind.value_type) for item in (value if isinstance(value, list) else []))
    return 0 if value is None else {pa.bool_(): 1, pa.int64(): 8}[kind]


TEXT = st.none() | st.text(max_size=5)
MESSAGES = st.lists(
    st.none()
    | st.fixed_dictionaries(
        {
            "role": TEXT,
            "content": TEXT,
            "tool_calls": st.none()
            | st.lists(
                st.none()
                | st.fixed_dictionaries(
                    {"id": TEXT, "function": st.none() | st.fixed_dictionaries({"name": TEXT, "arguments": TEXT})}
                )
            ),
        }
    ),
    max_size=3,
)
ROW = st.fixed_dictionaries({"messages": st.none() | MESSAGES, "tools": st.none() | st.lists(TEXT), "any": TEXT})


@given(st.lists(ROW, max_size=6), st.integers(0, 5), st.integers(1, 5))
def test_the_size_of_a_row_is_what_its_values_take(rows: list[dict[str, object]], start: int, length: int) -> None:
    batch = pa.RecordBatch.from_pylist(rows, TEXT_SCHEMA).slice(start, length)
    expected = [size_of(row, pa.struct(list(SCHEMA))) for row in rows[start : start + length]]
    assert row_bytes(batch).to_pylist() == expected


def test_sizes_are_those_of_arrow_but_for_its_bitmaps_and_last_offsets() -> None:
    batch = RECORDS.cast(TEXT_SCHEMA).to_batches()[0]
    assert sum(row_bytes(batch).to_pylist()) == pytest.approx(batch.nbytes, rel=0.03)


@pytest.mark.parametrize("old", [None, {}, {"old.txt": b"old"}])
def test_an_error_leaves_what_was_there(old: dict[str, bytes] | None, tmp_path: Path) -> None:
    output = tmp_path / "out"
    if old is not None:
        output.mkdir()
        for name, data in old.items():
            (output / name).write_bytes(data)

    def write_and_stop() -> None:
        with open_records(output, SCHEMA, plan(overwrite=True)) as writer:
            writer.write("train", RECORDS)
            writer.add_file("README.md", "new")
            assert output.exists() == (old is not None)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    assert list(tmp_path.iterdir()) == ([] if old is None else [output])
    assert contents(output) == (old or {})


@pytest.mark.parametrize("can_swap", [True, False])
def test_overwriting_replaces_all_of_the_old_directory(
    *, can_swap: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_swap:
        monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    (tmp_path / "out/data").mkdir(parents=True)
    (tmp_path / "out/data/train-00000-of-00099.parquet").write_bytes(b"old")
    shards = write(tmp_path / "out", plan(overwrite=True))
    assert set(contents(tmp_path / "out")) == {"README.md", *(shard.path for shard in shards)}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_swap_that_fails_half_way_puts_the_old_directory_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    output = tmp_path / "out"
    output.mkdir()
    (output / "old.txt").write_bytes(b"old")
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.name == "out" and target == output:
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OutputError, match="out: No space left on device"):
        write(output, plan(overwrite=True))
    assert contents(output) == {"old.txt": b"old"}
    assert list(tmp_path.iterdir()) == [output]


def test_the_old_directory_is_never_missing_while_it_is_replaced(tmp_path: Path) -> None:
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "renameat2"):
        pytest.skip("the C library cannot swap directories")
    new, old = tmp_path / "new.part", tmp_path / "old"
    for path in (new, old):
        path.mkdir()
    inodes = new.stat().st_ino, old.stat().st_ino
    dataset_repository._exchange(new, old, tmp_path)  # noqa: SLF001 - that one step does it cannot be seen from outside
    assert (old.stat().st_ino, new.stat().st_ino) == inodes


def test_a_directory_that_was_filled_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    output = tmp_path / "out"

    def write_and_fill() -> None:
        with open_records(output, SCHEMA, plan()) as writer:
            writer.write("train", RECORDS)
            output.mkdir()
            (output / "other.txt").write_bytes(b"other")

    with pytest.raises(OutputError, match="out: Directory not empty"):
        write_and_fill()
    assert contents(output) == {"other.txt": b"other"}
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize("name", ["parts", "new", "data"])
def test_no_name_of_a_directory_is_taken(name: str, tmp_path: Path) -> None:
    shards = write(tmp_path / name, plan())
    assert set(contents(tmp_path / name)) == {"README.md", *(shard.path for shard in shards)}
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_empty_directory_and_what_a_link_points_to_are_taken(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", plan())
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real/README.md").read_text() == "read me\n"


def refuse(output: Path, message: str, *, overwrite: bool = True) -> None:
    with pytest.raises(OutputError, match=message):
        check_directory(str(output), overwrite)


def test_a_directory_that_cannot_become_the_dataset_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    (tmp_path / "clone/.git").mkdir(parents=True)
    refuse(tmp_path / "file", "is a file, not a directory")
    refuse(tmp_path / "no/out", "the directory .* does not exist")
    refuse(tmp_path / "full", "is not empty; --overwrite replaces all of it", overwrite=False)
    refuse(tmp_path / "clone", "is a git clone")
    for good in ("new", "full"):
        check_directory(str(tmp_path / good), overwrite=True)


@pytest.mark.skipif(not os.path.ismount("/proc"), reason="needs a mount point that is known")
def test_a_mount_point_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: True)
    refuse(Path("/proc"), "is a mount point")


def test_overwriting_a_source_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "out/results/runs.jsonl"
    source.parent.mkdir(parents=True)
    source.touch()
    with pytest.raises(OptionError, match="would remove the source "):
        check_directory(str(tmp_path / "out"), overwrite=True, sources=["-", str(source)])
    check_directory(str(tmp_path / "out"), overwrite=True, sources=["-", str(tmp_path / "outer.jsonl")])


def test_a_full_disk_is_an_error_of_the_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="out: No space left on device"):
        write(tmp_path / "out", plan())
    assert list(tmp_path.iterdir()) == []


def test_everything_is_on_disk_before_it_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync: Callable[[int], None] = os.fsync

    def watched(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    shards = write(tmp_path / "out", plan())
    names = [path.split("/new/out")[-1] for path in synced]
    assert names[-4:-1] in (["/data", "/README.md", ""], ["/README.md", "/data", ""])
    assert synced[-1] == str(tmp_path)
    assert len(names) == len(shards) + 4
