"""What a peer is asked to do: its command line, the same for all of them."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

__all__ = ["QUESTIONS", "Task"]

QUESTIONS = ("chatml-lines", "chatml-parquet", "dpo-lines", "documents-parquet", "trl-prompts", "threshold")


@dataclass(frozen=True, slots=True)
class Task:
    """One export.

    Attributes:
        question: One of `QUESTIONS`.
        source: A file of case-result lines; for `documents-parquet` a directory of results documents.
        output: A `.jsonl` or `.parquet` file.
        prompts: An eval set in JSON, for `trl-prompts`.
        threshold: The lowest score that qualifies.
    """

    question: str
    source: Path
    output: Path
    prompts: Path
    threshold: float

    @classmethod
    def from_command_line(cls) -> Task:
        """Read the task from the arguments of the process."""
        parser = argparse.ArgumentParser()
        parser.add_argument("question", choices=QUESTIONS)
        parser.add_argument("source", type=Path, metavar="INPUT")
        parser.add_argument("output", type=Path)
        parser.add_argument("--prompts", type=Path, default=Path())
        parser.add_argument("--threshold", type=float, default=0.0)
        return cls(**vars(parser.parse_args()))

    @property
    def record(self) -> str:
        """What a record is: `chatml`, `dpo` or `trl`."""
        return {"dpo-lines": "dpo", "trl-prompts": "trl"}.get(self.question, "chatml")

    @property
    def parquet(self) -> bool:
        """Whether the output is Parquet."""
        return self.output.suffix == ".parquet"

    @property
    def documents(self) -> list[Path]:
        """The results documents of the source, none where it is a file of lines."""
        return sorted(self.source.glob("*.json")) if self.source.is_dir() else []
