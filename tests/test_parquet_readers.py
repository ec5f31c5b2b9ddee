"""Polars, DuckDB and datasets read files of row groups that were encoded apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import datasets
import polars as pl
import pyarrow as pa
import pytest

from tests.row_groups import (
    SETTINGS,
    THIRD_PARTY,
    encoded,
    parts,
    stitched,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(params=["hub", "several-pages", "content-defined-pages"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """A stitched file, and one of the same rows that pyarrow wrote."""
    options, tables = SETTINGS[request.param], parts(100, 1, 250, 40)
    (tmp_path / "stitched.parquet").write_bytes(stitched(encoded(part, **options) for part in tables))
    (tmp_path / "whole.parquet").write_bytes(encoded(pa.concat_tables(tables), **options))
    return tmp_path / "stitched.parquet", tmp_path / "whole.parquet"


def test_polars_reads_the_rows(pair: tuple[Path, Path]) -> None:
    got, expected = (pl.read_parquet(path) for path in pair)
    assert got.equals(expected)
    assert got["number"].to_list() == list(range(391))


@pytest.mark.parametrize(
    "query",
    [
        lambda frame: frame.filter(pl.col("number") == 101),
        lambda frame: frame.filter(pl.col("number").is_between(90, 120)),
        lambda frame: frame.filter(pl.col("metadata").struct.field("case_id") == "300"),
        lambda frame: frame.filter(pl.col("number") < 0),
        lambda frame: frame.slice(95, 20),
        lambda frame: frame.slice(99, 3).select("messages"),
        lambda frame: frame.tail(50),
    ],
)
def test_polars_finds_rows(query: Callable[[pl.LazyFrame], pl.LazyFrame], pair: tuple[Path, Path]) -> None:
    got, expected = (query(pl.scan_parquet(path)).collect() for path in pair)
    assert got.equals(expected)


def test_duckdb_reads_and_finds_rows(pair: tuple[Path, Path]) -> None:
    duckdb = pytest.importorskip("duckdb")
    for condition in ("true", "number = 101", "number between 90 and 120", "metadata.case_id = '300'", "number < 0"):
        got, expected = (duckdb.sql(f"from '{path}' where {condition} order by number").fetchall() for path in pair)
        assert got == expected
    assert len(duckdb.sql(f"from '{pair[0]}'").fetchall()) == 391


@THIRD_PARTY
def test_datasets_loads_the_rows(pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    got, expected = (
        datasets.load_dataset("parquet", data_files=str(path), cache_dir=str(tmp_path / path.stem), split="train")
        for path in pair
    )
    assert got.features == expected.features
    assert got.to_list() == expected.to_list()
    assert got["number"][:] == list(range(391))
