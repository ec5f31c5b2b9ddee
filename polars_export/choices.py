"""The values of the options that are a choice among few."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Arguments", "Completion", "FileType", "MissingPrompt", "OnError", "Reasoning", "SplitBy", "TrainingFormat"]


class TrainingFormat(StrEnum):
    """The record formats; the reference's names (`chat_ml_sft`, `dpo_pairs`, `share_gpt`) are accepted as values."""

    CHATML = "chatml"
    DPO = "dpo"
    SHAREGPT = "sharegpt"
    KTO = "kto"
    PROMPT_COMPLETION = "prompt-completion"

    @classmethod
    def _missing_(cls, value: object) -> TrainingFormat | None:
        return _REFERENCE_NAMES.get(value) if isinstance(value, str) else None


_REFERENCE_NAMES = {
    "chat_ml_sft": TrainingFormat.CHATML,
    "dpo_pairs": TrainingFormat.DPO,
    "share_gpt": TrainingFormat.SHAREGPT,
}


class MissingPrompt(StrEnum):
    """How to handle a trace without a user's message: stop the export, leave it out, or export it as it is."""

    ERROR = "error"
    SKIP = "skip"
    KEEP = "keep"


class Reasoning(StrEnum):
    """Where thinking blocks go: a field of their own, `<think>` before the text, or nowhere."""

    FIELD = "field"
    THINK = "think"
    DROP = "drop"


class FileType(StrEnum):
    """The file format of the shards of a dataset repository."""

    PARQUET = "parquet"
    JSONL = "jsonl"


class Arguments(StrEnum):
    """How tool-call arguments are written: as JSON objects, or as strings that hold JSON."""

    OBJECT = "object"
    STRING = "string"


class Completion(StrEnum):
    """How much of each side of a pair is its completion: all that follows the prompt, or the first message of it."""

    ALL = "all"
    FIRST = "first"


class OnError(StrEnum):
    """How to handle invalid records: stop the export, or leave them out, count them and write them to a file."""

    FAIL = "fail"
    SKIP = "skip"


class SplitBy(StrEnum):
    """What stays together when a dataset is split: the runs of a case, or all traces with the same prompt."""

    CASE = "case"
    PROMPT = "prompt"
