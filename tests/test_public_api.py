"""Every public name is used, as its users would, in a file that mypy checks; here that file runs."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import polars_export as pe
from tests import typing_public_api

DATA = Path(__file__).parents[1] / "data"
RUN = DATA / "results/airline/1715770000.json"


def test_every_public_name_is_used() -> None:
    tree = ast.parse(Path(typing_public_api.__file__).read_text(encoding="utf-8"))
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used = {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == "pe"}
    assert used == {*pe.__all__}


def test_what_is_checked_also_runs(tmp_path: Path) -> None:
    results = json.loads(RUN.read_text(encoding="utf-8"))
    typing_public_api.export_to_files(RUN, tmp_path)
    assert len([*tmp_path.iterdir()]) == 4
    rows = tmp_path / "in.jsonl"
    rows.write_text(
        '{"task_id": 1, "reward": 0.5, "messages": [{"role": "user", "content": "?"}, '
        '{"role": "assistant", "content": "!"}]}\n',
        encoding="utf-8",
    )
    typing_public_api.say_how_to_read(rows)
    typing_public_api.choose_options()
    typing_public_api.read_as_tables(RUN, DATA / "sets")
    typing_public_api.use_tables(RUN, DATA / "sets", tmp_path)
    typing_public_api.store_tables(RUN, tmp_path)
    typing_public_api.select_by_rule()
    typing_public_api.export_objects(results["case_results"][0])
    typing_public_api.report_on(results)
    assert str(typing_public_api.export_or_explain("nowhere", str(tmp_path / "e.jsonl"))).startswith("nowhere: ")
