"""Hugging Face datasets: `Dataset.from_generator` with explicit features over an orjson reader, then written."""

from __future__ import annotations

import os
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import orjson

from benchmarks.peers.rows import records
from benchmarks.peers.task import Task

if TYPE_CHECKING:
    from collections.abc import Iterator

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}

from datasets import Dataset, Features, List, Value

BATCH_ROWS = 1_000


def _text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return orjson.dumps(value).decode()


def _sorted_text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _records(task: Task) -> Iterator[dict[str, Any]]:
    return records(task, orjson.loads, _sorted_text, _text)


def _features(task: Task) -> Features:
    text = Value("string")
    call = {"id": text, "type": text, "function": {"name": text, "arguments": text}}
    message = {"role": text, "content": text, "tool_calls": List(call)}
    if task.record == "trl":
        message |= {"tool_call_id": text, "name": text}
    metadata = {"case_id": text, "score": Value("float64"), "model_id": text, "turns": Value("int64")}
    record = {"messages": List(message), "metadata": metadata}
    return Features({"case_id": text, "chosen": record, "rejected": record} if task.record == "dpo" else record)


def main() -> None:
    """Answer the question on the command line."""
    task = Task.from_command_line()
    with TemporaryDirectory(dir=task.output.parent) as cache:  # which would answer a second run at once
        dataset = Dataset.from_generator(_records, features=_features(task), gen_kwargs={"task": task}, cache_dir=cache)
        if task.parquet:
            dataset.to_parquet(task.output, batch_size=BATCH_ROWS)
        else:
            dataset.to_json(task.output, batch_size=BATCH_ROWS, num_proc=os.cpu_count(), force_ascii=False)


if __name__ == "__main__":
    main()
