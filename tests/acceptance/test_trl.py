"""TRL takes the exported folders as they are: loading, its own helpers, chat templates and one real training step."""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.stores import completion, conversation, eval_set, pairs, prompt, score, split_pair, tools, traces

if TYPE_CHECKING:
    from tests.acceptance.conftest import Export, Foreign, Load
    from tests.builders import Json

pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("default")]

SIDES = ("chosen", "rejected")
FORMATS = ("chatml", "dpo", "kto", "prompt-completion")
COLUMNS = {
    "chatml": ["messages"],
    "dpo": ["prompt", "chosen", "rejected"],
    "kto": ["prompt", "completion", "label"],
    "prompt-completion": ["prompt", "completion"],
}
LAST = {"chatml": "messages", "dpo": "rejected", "kto": "completion", "prompt-completion": "completion"}
MESSAGES = {"messages", "prompt", "completion", "chosen", "rejected"}
# Templates of families that render tools, arguments and reasoning in different ways. The last two refuse parallel calls
# and text beside reasoning and calls, of which the sample has none.
TEMPLATES = [
    ("made", "qwen3"),
    ("made", "qwen3_5_think"),
    ("made", "glm4moe"),
    ("made", "gemma4_v5"),
    ("made", "lfm2_v2"),
    ("made", "nemotron_3_nano"),
    ("sample", "llama3_1"),
    ("sample", "gptoss"),
]
FEW = 20  # rows of the sample that are enough where each is slow
MAX_LENGTH = 6144  # tokens: the longest prompt of the sample fits, so that what is learned is never cut away


def clean(row: Json) -> Json:
    """A row whose messages lack what is null; nulls inside arguments stay, because they are values."""
    return {
        key: [{name: part for name, part in message.items() if part is not None} for message in value]
        if key in MESSAGES
        else value
        for key, value in row.items()
    }


def expected(store: Path, format_: str) -> list[Json]:
    """The rows that are promised, without their metadata."""
    if format_ == "dpo":
        sides = (split_pair(store, best, worst) for best, worst in pairs(store))
        return [dict(zip(COLUMNS["dpo"], parts, strict=True)) | {"tools": tools()} for parts in sides]
    if format_ == "chatml":
        return [{"messages": conversation(store, trace), "tools": tools()} for trace in traces(store)]
    return [
        {"prompt": prompt(store, trace), "completion": completion(trace), "tools": tools()}
        | ({"label": trace["verdict"] == "pass"} if format_ == "kto" else {})
        for trace in traces(store)
    ]


class Trl:
    """The package, its helpers, and what a training step needs without a download."""

    def __init__(self, corpus: list[str]) -> None:
        self.package: Foreign = importlib.import_module("trl")
        self.helpers: Foreign = importlib.import_module("trl.data_utils")
        self.transformers: Foreign = importlib.import_module("transformers")
        self.corpus = corpus

    def tokenizer(self, template: str) -> Foreign:
        """A byte-level BPE whose merges are learned here, with a chat template that the package ships."""
        byte_level = importlib.import_module("tokenizers").ByteLevelBPETokenizer()
        special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
        byte_level.train_from_iterator(self.corpus, vocab_size=2048, special_tokens=special, show_progress=False)
        return self.transformers.PreTrainedTokenizerFast(
            tokenizer_object=byte_level._tokenizer,  # noqa: SLF001 - the wrapped tokenizer has no public name
            eos_token="<|im_end|>",  # noqa: S106 - a token of text
            pad_token="<|endoftext|>",  # noqa: S106 - a token of text
            chat_template=(Path(self.package.__file__).parent / f"chat_templates/{template}.jinja").read_text("utf-8"),
        )

    def model(self, vocabulary: int) -> Foreign:
        config = self.transformers.LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=MAX_LENGTH,
        )
        return self.transformers.LlamaForCausalLM(config)

    def train(self, trainer: str, rows: Foreign, output: Path, **options: object) -> Foreign:
        """One step on the CPU; the trainer afterwards."""
        tokenizer = self.tokenizer("qwen3_training")
        arguments = getattr(self.package, f"{trainer}Config")(
            output_dir=str(output),
            max_steps=1,
            per_device_train_batch_size=2,
            max_length=MAX_LENGTH,
            use_cpu=True,
            bf16=False,
            report_to="none",
            save_strategy="no",
            logging_steps=1,
            disable_tqdm=True,
            **options,
        )
        reference = {} if trainer == "SFT" else {"ref_model": self.model(len(tokenizer))}
        trained = getattr(self.package, f"{trainer}Trainer")(
            model=self.model(len(tokenizer)),
            args=arguments,
            train_dataset=rows,
            processing_class=tokenizer,
            **reference,
        )
        trained.train()
        return trained


@pytest.fixture(scope="module")
def trl(made: Path, offline: None) -> Trl:  # noqa: ARG001 - the modules read the environment when imported
    return Trl([json.dumps(tools()), *(json.dumps(conversation(made, trace)) for trace in traces(made))])


@pytest.mark.parametrize("file_type", ["parquet", "jsonl"])
@pytest.mark.parametrize("format_", FORMATS)
def test_a_folder_loads_as_the_promised_rows(
    store: Path, format_: str, file_type: str, export: Export, load: Load
) -> None:
    rows = load(export(store, "trl", format_, "--file-type", file_type))
    promised = expected(store, format_)
    assert rows.column_names == [*COLUMNS[format_], "tools", "metadata"]
    assert len(rows) == len(promised) > 1
    for row, promise in zip(rows, promised, strict=True):
        metadata = row.pop("metadata")
        assert clean(row) == promise
        assert metadata.keys() == (
            {"case_id", "eval_set_id", *(f"{side}_{name}" for side in SIDES for name in ("run", "score", "model_id"))}
            if format_ == "dpo"
            else {"case_id", "eval_set_id", "run", "score", "model_id", "turns"}
        )


def test_metadata_tells_where_a_row_came_from(store: Path, export: Export, load: Load) -> None:
    for row, trace in zip(load(export(store, "trl", "chatml")), traces(store), strict=True):
        assert row["metadata"] == {
            "case_id": trace["case_id"],
            "eval_set_id": eval_set(store),
            "run": None,
            "score": score(trace),
            "model_id": trace["invocation"]["model"]["model_id"],
            "turns": len(trace["invocation"]["turns"]),
        }


def test_splits_share_no_case_and_shards_lose_no_row(store: Path, export: Export, load: Load) -> None:
    options = ["--test-fraction", "0.4", "--seed", "3", "--max-shard-size", "20KB"]
    folder = export(store, "trl", "chatml", *options)
    splits = [load(folder, split) for split in ("train", "test")]
    assert sum(len(split) for split in splits) == len(traces(store))
    train, test = ({row["case_id"] for row in split["metadata"]} for split in splits)
    assert train
    assert test
    assert not train & test
    assert len(list((folder / "data").glob("train-*"))) > 1


@pytest.mark.parametrize("format_", FORMATS)
def test_the_helpers_accept_every_row(store: Path, format_: str, export: Export, load: Load, trl: Trl) -> None:
    rows = load(export(store, "trl", format_))
    assert all(trl.helpers.is_conversational(row) for row in rows)
    if format_ == "dpo":
        assert len(trl.helpers.maybe_unpair_preference_dataset(rows)) == 2 * len(rows)
        for row in rows.select(range(min(len(rows), FEW))):
            whole = {side: row["prompt"] + row[side] for side in ("chosen", "rejected")}
            split = trl.helpers.extract_prompt(whole)
            assert split["prompt"][: len(row["prompt"])] == row["prompt"]
            longer = split["prompt"][len(row["prompt"]) :]  # where the sides part before the assistant speaks again
            assert "assistant" not in [message["role"] for message in longer[1:]]
            assert split["prompt"] + split["chosen"] == whole["chosen"]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(("store", "template"), TEMPLATES, indirect=["store"])
def test_chat_templates_render_rows_as_they_render_the_source(  # noqa: PLR0913 - parameters and fixtures
    *, store: Path, template: str, format_: str, export: Export, load: Load, trl: Trl
) -> None:
    tokenizer = trl.tokenizer(template)
    rows = load(export(store, "trl", format_)).remove_columns("metadata")
    for row, promise in zip(rows.select(range(min(len(rows), FEW))), expected(store, format_), strict=False):
        definitions = promise.pop("tools")
        assert row.pop("tools") == definitions
        rendered = trl.helpers.apply_chat_template(row, tokenizer, tools=definitions)
        assert rendered == trl.helpers.apply_chat_template(promise, tokenizer, tools=definitions)
        last = promise[LAST[format_]][-1]
        assert last["content"] in "".join(str(text) for text in rendered.values())


@pytest.mark.parametrize(
    ("trainer", "format_"), [("SFT", "chatml"), ("SFT", "prompt-completion"), ("DPO", "dpo"), ("KTO", "kto")]
)
def test_one_training_step_learns_from_every_row(  # noqa: PLR0913 - parameters and fixtures
    *, store: Path, trainer: str, format_: str, export: Export, load: Load, trl: Trl, tmp_path: Path
) -> None:
    rows = load(export(store, "trl", format_))
    options = {"assistant_only_loss": True} if format_ == "chatml" else {}
    trained = trl.train(trainer, rows, tmp_path, **options)
    assert len(trained.train_dataset) == len(rows)
    step = next(entry for entry in trained.state.log_history if "grad_norm" in entry)
    assert 0 < step["loss"] < math.inf
    assert 0 < step["grad_norm"] < math.inf
