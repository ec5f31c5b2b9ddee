"""Readers without the JSON type: the releases of datasets that many still run load what `--arguments string` writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.stores import conversation, score, tools, traces

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Export, Load
    from tests.builders import Json

pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("default")]


def parsed(message: Json) -> Json:
    """A message without what is null, its arguments parsed."""
    kept: Json = {key: value for key, value in message.items() if value is not None}
    if "tool_calls" in kept:
        kept["tool_calls"] = [
            {**call, "function": {**call["function"], "arguments": json.loads(call["function"]["arguments"])}}
            for call in kept["tool_calls"]
        ]
    return kept


def test_string_arguments_load_without_the_json_type(store: Path, export: Export, load: Load) -> None:
    rows = load(export(store, "trl", "chatml", "--arguments", "string"))
    assert len(rows) == len(traces(store))
    for row, trace in zip(rows, traces(store), strict=True):
        assert [parsed(message) for message in row["messages"]] == conversation(store, trace)
        assert row["metadata"]["case_id"] == trace["case_id"]
        assert row["metadata"]["score"] == score(trace)
        definitions = json.loads(row["tools"]) if isinstance(row["tools"], str) else row["tools"]
        assert [json.loads(tool) if isinstance(tool, str) else tool for tool in definitions] == tools()


def test_every_format_loads_in_splits_and_shards(made: Path, export: Export, load: Load) -> None:
    options = ["--arguments", "string", "--test-fraction", "0.4", "--max-shard-size", "2KB"]
    for format_ in ("chatml", "dpo", "kto", "prompt-completion"):
        folder = export(made, "trl", format_, *options)
        assert len(load(folder)) > 0, format_
