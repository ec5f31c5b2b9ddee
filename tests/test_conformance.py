"""Every vector of the reference, in-process: the same bytes, or nothing to export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import polars_export as pe
from tests import rowwise

VECTORS = Path(__file__).parent / "conformance"
CASES: list[dict[str, Any]] = json.loads((VECTORS / "cases.json").read_text(encoding="utf-8"))


def by_name(case: dict[str, Any]) -> str:
    return str(case["name"])


def test_all_vectors_are_here() -> None:
    assert len(CASES) == 177


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_the_export_equals_the_reference(case: dict[str, Any], tmp_path: Path) -> None:
    options = pe.ExportOptions(
        case["format"], quality_threshold=case["quality_threshold"], include_metadata=case["include_metadata"]
    )
    output = tmp_path / "records.jsonl"
    if case["expected"] is None:
        with pytest.raises(pe.NothingToExportError):
            pe.export(VECTORS / case["input"], output, options)
        assert list(tmp_path.iterdir()) == []
    else:
        pe.export(VECTORS / case["input"], output, options)
        assert output.read_bytes() == (VECTORS / case["expected"]).read_bytes()


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_the_row_by_row_implementation_equals_the_reference(case: dict[str, Any]) -> None:
    document = json.loads((VECTORS / case["input"]).read_text(encoding="utf-8"))
    rows = rowwise.export(
        document["case_results"], case["format"], case["quality_threshold"], metadata=case["include_metadata"]
    )
    assert rows == ((VECTORS / case["expected"]).read_bytes() if case["expected"] else None)
