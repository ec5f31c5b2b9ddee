"""LLaMA-Factory's own loader, converter and tokenization keep every exported row, through dataset_info.json."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.kinds import KINDS
from tests.acceptance.stores import SAMPLE, completion, pairs, prompt, split_pair, tools, traces
from tests.inputs.real_files import real_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.conftest import Export, Foreign
    from tests.builders import Json

pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("default")]

STAGES = {"sharegpt": "sft", "dpo": "rm", "kto": "kto"}
ROLES = {"human": "user", "observation": "observation", "gpt": "assistant", "function_call": "function"}
INPUTS = ("user", "observation")


class Factory:
    """The arguments that LLaMA-Factory's command line would make, and what it then does with a folder."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.hparams = importlib.import_module("llamafactory.hparams")
        self.loader = importlib.import_module("llamafactory.data.loader")

    def arguments(self, folder: Path, name: str) -> tuple[Foreign, Foreign, Foreign]:
        model = self.hparams.ModelArguments(model_name_or_path="none", cache_dir=str(self.cache))
        data = self.hparams.DataArguments(
            template="qwen", dataset=name, dataset_dir=str(folder), cutoff_len=1_000_000, overwrite_cache=True
        )
        training = importlib.import_module("transformers").Seq2SeqTrainingArguments(
            output_dir=str(self.cache / "out"), use_cpu=True, report_to="none"
        )
        return model, data, training

    def aligned(self, folder: Path, name: str, stage: str) -> list[Json]:
        """The rows in the form that all of its training reads: `_prompt`, `_response`, `_system`, `_tools`."""
        model, data, training = self.arguments(folder, name)
        return list(self.loader._get_merged_dataset(data.dataset, model, data, training, stage))  # noqa: SLF001

    def tokenized(self, folder: Path, name: str, stage: str) -> list[Json]:
        """The rows as the trainer gets them: its template applied, its processor of this stage run."""
        model, data, training = self.arguments(folder, name)
        tokenizer = _tokenizer()
        template = importlib.import_module("llamafactory.data").get_template_and_fix_tokenizer(tokenizer, data)
        rows = list(self.loader.get_dataset(template, model, data, training, stage, tokenizer)["train_dataset"])
        for row in rows:
            for key in [key for key in row if key.endswith("labels")]:
                row[key] = tokenizer.decode([token for token in row[key] if token >= 0])
        return rows


def _tokenizer() -> Foreign:
    """Bytes as tokens, wrapped for transformers: nothing is downloaded."""
    tokenizers = importlib.import_module("tokenizers")
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    model = tokenizers.models.BPE({character: number for number, character in enumerate(alphabet)}, [])
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    return importlib.import_module("transformers").PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",  # noqa: S106 - a token of text
        pad_token="<|endoftext|>",  # noqa: S106 - a token of text
    )


@pytest.fixture(scope="session")
def factory(offline: None, tmp_path_factory: pytest.TempPathFactory) -> Factory:  # noqa: ARG001 - read when imported
    return Factory(tmp_path_factory.mktemp("factory"))


def exported(folder: Path) -> list[Json]:
    """The rows of the data files themselves, read without any of the consumers."""
    rows: list[Json] = []
    for path in sorted((folder / "data").iterdir()):
        if path.suffix == ".parquet":
            rows.extend(importlib.import_module("pyarrow.parquet").ParquetFile(path).read().to_pylist())
        else:
            rows.extend(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return rows


def names(folder: Path) -> list[str]:
    """The data sets that the folder declares, the training split's first."""
    info = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))
    return sorted(info, key=lambda name: info[name].get("split", "train") != "train")


def aligned_message(message: Json) -> Json:
    return {"role": ROLES[message["from"]], "content": message["value"]}


def calls(messages: list[Json]) -> list[tuple[str, Json]]:
    """Names and arguments of all calls of aligned messages, in order."""
    return [
        (call["name"], call["arguments"])
        for message in messages
        if message["role"] == "function"
        for call in json.loads(message["content"])
    ]


def source_calls(trace: Json) -> list[tuple[str, Json]]:
    return calls_of(completion(trace))


def calls_of(messages: list[Json]) -> list[tuple[str, Json]]:
    return [
        (call["function"]["name"], call["function"]["arguments"])
        for message in messages
        for call in message.get("tool_calls", [])
    ]


def aligned_conversations(rows: list[Json], *, kto: bool) -> Iterator[list[Json]]:
    """Prompt and response of rows; the empty counterpart that KTO adds to a response is left out."""
    for row in rows:
        response = row["_response"]
        if kto:
            assert sorted(bool(message["content"]) for message in response) == [False, True]
            response = [message for message in response if message["content"]]
        yield row["_prompt"] + response


@pytest.mark.parametrize("file_type", ["parquet", "jsonl"])
@pytest.mark.parametrize("format_", ["sharegpt", "kto"])
def test_no_conversation_is_emptied_or_changed(
    store: Path, format_: str, file_type: str, export: Export, factory: Factory
) -> None:
    folder = export(store, "llamafactory", format_, "--file-type", file_type)
    [name] = names(folder)
    rows, written = factory.aligned(folder, name, STAGES[format_]), exported(folder)
    assert len(rows) == len(written) == len(traces(store))
    conversations = list(aligned_conversations(rows, kto=format_ == "kto"))
    for row, messages, record, trace in zip(rows, conversations, written, traces(store), strict=True):
        assert messages == [aligned_message(message) for message in record["conversations"]]
        assert [message["role"] in INPUTS for message in messages] == [True, False] * (len(messages) // 2)
        system, *_ = [*(m["content"] for m in prompt(store, trace) if m["role"] == "system"), ""]
        assert (row["_system"] or "") == (record["system"] or "") == system
        assert json.loads(row["_tools"]) == json.loads(record["tools"]) == tools()
        assert calls(messages) == source_calls(trace)
        assert messages[0]["content"] == "\n\n".join(m["content"] for m in prompt(store, trace) if m["role"] == "user")
        observed = [message["content"] for message in messages if message["role"] == "observation"]
        results = [message["content"] for message in completion(trace) if message["role"] == "tool"]
        assert all(any(result in observation for observation in observed) for result in results)
        if format_ == "kto":
            assert record["kto_tag"] is (trace["verdict"] == "pass")
            assert bool(row["_response"][0]["content"]) is record["kto_tag"]


@pytest.mark.parametrize("file_type", ["parquet", "jsonl"])
def test_no_ranking_pair_is_emptied_or_changed(made: Path, file_type: str, export: Export, factory: Factory) -> None:
    folder = export(made, "llamafactory", "dpo", "--file-type", file_type)
    [name] = names(folder)
    rows, written = factory.aligned(folder, name, "rm"), exported(folder)
    split = (split_pair(made, chosen, rejected) for chosen, rejected in pairs(made))
    single = [(asked, *sides) for asked, *sides in split if all(len(side) == 1 for side in sides)]
    assert len(rows) == len(written) == len(single) > 2
    for row, record, (asked, *sides) in zip(rows, written, single, strict=True):
        assert row["_prompt"] == [aligned_message(message) for message in record["conversations"]]
        assert row["_response"] == [aligned_message(record[side]) for side in ("chosen", "rejected")]
        for message, side in zip(row["_response"], sides, strict=True):
            assert message["role"] == "assistant"
            assert message["content"].endswith(side[0]["content"])
        assert row["_prompt"][-1]["role"] in INPUTS
        users = "\n\n".join(message["content"] for message in asked if message["role"] == "user")
        assert row["_prompt"][0]["content"] == users
        assert calls(row["_prompt"]) == calls_of(asked)


def test_splits_are_declared_and_complete(store: Path, export: Export, factory: Factory) -> None:
    folder = export(store, "llamafactory", "sharegpt", "--test-fraction", "0.4", "--seed", "3")
    rows = [factory.aligned(folder, name, "sft") for name in names(folder)]
    assert len(rows) == 2
    assert all(rows)
    assert sum(len(split) for split in rows) == len(traces(store))


@pytest.mark.parametrize("format_", ["sharegpt", "kto", "dpo"])
def test_every_row_reaches_the_trainer(store: Path, format_: str, export: Export, factory: Factory) -> None:
    if format_ == "dpo" and store == SAMPLE:
        pytest.skip("every run of the sample uses tools: it has no pair of single messages")
    folder = export(store, "llamafactory", format_)
    [name] = names(folder)
    written = exported(folder)
    rows = factory.tokenized(folder, name, STAGES[format_])
    assert len(rows) == len(written)
    for row, record in zip(rows, written, strict=True):
        if format_ == "dpo":
            assert row["chosen_labels"].strip().removesuffix("<|im_end|>") == record["chosen"]["value"]
            assert row["rejected_labels"].strip().removesuffix("<|im_end|>") == record["rejected"]["value"]
            continue
        last = record["conversations"][-1]
        if last["from"] == "gpt":
            assert last["value"] in row["labels"]
        else:
            assert json.loads(last["value"])[0]["name"] in row["labels"]


ALTERNATING = [kind for kind in KINDS if kind != "atif" and not kind.startswith("tau2")]
"""The others begin with the assistant, or have a system message further on: they are left out, each by its reason."""


@pytest.mark.parametrize("kind", ALTERNATING)
def test_conversations_of_every_kind_of_input_are_kept(kind: str, export: Export, factory: Factory) -> None:
    folder = export(real_file(KINDS[kind]), "llamafactory", "sharegpt", "--missing-prompt", "skip")
    [name] = names(folder)
    rows, written = factory.aligned(folder, name, "sft"), exported(folder)
    assert len(rows) == len(written) > 0
    for row, record in zip(rows, written, strict=True):
        assert row["_prompt"] + row["_response"] == [aligned_message(message) for message in record["conversations"]]
    assert len(factory.tokenized(folder, name, "sft")) == len(written)
