"""OpenAI's documented rules for fine-tuning files, and the request types of its own Python package."""

from __future__ import annotations

import importlib
import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.kinds import KINDS
from tests.acceptance.stores import conversation, pairs, split_pair, tools, traces
from tests.inputs.real_files import real_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.conftest import Export, Foreign
    from tests.builders import Json

pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("default")]

# https://developers.openai.com/api/docs/guides/supervised-fine-tuning and .../api-reference/fine-tuning/chat-input
KEYS = {
    "system": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "tool_calls", "weight"},
    "tool": {"role", "content", "tool_call_id"},
}
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
MAX_TOOLS = 128
MIN_EXAMPLES = 10


def read(path: Path) -> list[Json]:
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.removesuffix("\n").split("\n")]


@pytest.fixture(scope="module")
def request_types() -> tuple[Foreign, Foreign]:
    """Checkers of a request's messages and tools, made from the types of the package `openai`."""
    chat: Foreign = importlib.import_module("openai.types.chat")
    adapter = importlib.import_module("pydantic").TypeAdapter
    message, tool = chat.ChatCompletionMessageParam, chat.ChatCompletionToolParam
    return adapter(list.__class_getitem__(message)), adapter(list.__class_getitem__(tool))


def check_messages(messages: list[Json]) -> None:
    """Roles and their keys, string arguments, and every tool message an answer to a call just made."""
    open_calls: set[str] = set()
    for message in messages:
        role = message["role"]
        assert message.keys() <= KEYS[role], message
        assert None not in message.values(), message
        if role == "tool":
            assert message["tool_call_id"] in open_calls, message
            open_calls.remove(message["tool_call_id"])
        else:
            assert not open_calls, f"calls without an answer before {message}"
        calls = message.get("tool_calls", [])
        if "content" in message:
            assert isinstance(message["content"], str)
            assert message["content"] or not calls, "an empty text beside calls is left out"
        else:
            assert calls, "only a message with calls may do without content"
        assert "tool_calls" not in message or calls, "no empty list of calls"
        for call in calls:
            assert call.keys() == {"id", "type", "function"}
            assert call["type"] == "function"
            assert call["function"].keys() == {"name", "arguments"}
            assert TOOL_NAME.fullmatch(call["function"]["name"])
            assert isinstance(json.loads(call["function"]["arguments"]), dict)
        open_calls |= {call["id"] for call in calls}


def check_tools(definitions: list[Json]) -> None:
    assert 0 < len(definitions) <= MAX_TOOLS
    assert all(tool["type"] == "function" and TOOL_NAME.fullmatch(tool["function"]["name"]) for tool in definitions)
    assert definitions == tools()


def expected(messages: list[Json]) -> list[Json]:
    """The messages of a trace in OpenAI's words, with the arguments parsed."""
    kept = []
    for message in messages:
        keys = KEYS[message["role"]] - {"name"}
        words = {key: value for key, value in message.items() if key in keys}
        if not words["content"] and "tool_calls" in words:
            del words["content"]
        kept.append(words)
    return kept


def parsed(messages: list[Json]) -> list[Json]:
    copy: list[Json] = json.loads(json.dumps(messages))
    for message in copy:
        for call in message.get("tool_calls", []):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return copy


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_supervised_file_follows_the_documented_rules(
    store: Path, kind: str, export: Export, request_types: tuple[Foreign, Foreign]
) -> None:
    if kind == "file":
        rows = read(export(store, "openai", "chatml", name="train.jsonl"))
    else:
        folder = export(store, "openai", "chatml", "--file-type", "jsonl")
        rows = [row for path in sorted((folder / "data").glob("*.jsonl")) for row in read(path)]
    assert len(rows) == len(traces(store)) >= MIN_EXAMPLES
    for row, trace in zip(rows, traces(store), strict=True):
        assert row.keys() == {"messages", "tools"}
        check_messages(row["messages"])
        check_tools(row["tools"])
        assert {"user", "assistant"} <= {message["role"] for message in row["messages"]}
        assert row["messages"][-1]["role"] == "assistant"
        assert parsed(row["messages"]) == expected(conversation(store, trace))
        messages, definitions = (types.validate_python(row[key]) for types, key in zip(request_types, row, strict=True))
        assert [list(message.get("tool_calls", [])) for message in messages] == [
            message.get("tool_calls", []) for message in row["messages"]
        ]
        assert len(definitions) == len(row["tools"])


@pytest.mark.parametrize("how_much", ["all", "first"])
def test_a_preference_file_follows_the_documented_rules(
    made: Path, how_much: str, export: Export, request_types: tuple[Foreign, Foreign]
) -> None:
    rows = read(export(made, "openai", "dpo", "--completion", how_much, name="pairs.jsonl"))
    promised = list(preferences(made, first=how_much == "first"))
    assert len(rows) == len(promised) > 2
    for row, (asked, *sides) in zip(rows, promised, strict=True):
        assert row.keys() == {"input", "preferred_output", "non_preferred_output"}
        assert row["input"].keys() == {"messages", "tools"}
        check_tools(row["input"]["tools"])
        assert parsed(row["input"]["messages"]) == expected(asked)
        assert row["input"]["messages"][-1]["role"] in {"user", "tool"}
        for side, completion in zip(("preferred_output", "non_preferred_output"), sides, strict=True):
            check_messages(row["input"]["messages"] + row[side])
            assert [message["role"] for message in row[side]] == ["assistant"]
            assert parsed(row[side]) == expected(completion)
            request_types[0].validate_python(row["input"]["messages"] + row[side])


def preferences(store: Path, *, first: bool) -> Iterator[tuple[list[Json], list[Json], list[Json]]]:
    """Prompt and completions of the pairs whose sides are single messages, or are cut to their first."""
    for chosen, rejected in pairs(store):
        prompt, *sides = split_pair(store, chosen, rejected)
        best, worst = (side[:1] if first else side for side in sides)
        if len(best) == len(worst) == 1 and expected(best) != expected(worst):
            yield prompt, best, worst


@pytest.mark.parametrize("kind", KINDS)
def test_conversations_of_every_kind_of_input_follow_the_documented_rules(
    kind: str, export: Export, request_types: tuple[Foreign, Foreign]
) -> None:
    rows = read(export(real_file(KINDS[kind]), "openai", "chatml", "--missing-prompt", "skip", name="train.jsonl"))
    assert rows
    for row in rows:
        check_messages(row["messages"])
        assert row["messages"][-1]["role"] == "assistant"
        request_types[0].validate_python(row["messages"])
