"""`dataset_info.json`, by which LLaMA-Factory knows a folder of data, and how to name it when training."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["dataset_files", "usage"]

_STAGES = {"sharegpt": "sft", "dpo": "dpo", "kto": "kto"}
_COLUMNS = {"sharegpt": (), "dpo": ("chosen", "rejected"), "kto": ("kto_tag",)}


def dataset_files(format_name: str, splits: Sequence[str]) -> dict[str, str]:
    """Return `dataset_info.json`: with the folder as its `dataset_dir`, LLaMA-Factory knows a dataset for each split.

    `script_url` is joined to `dataset_dir` and given to `load_dataset`, which reads the card and so keeps the splits
    apart; `file_name: data` would mix them (LLaMA-Factory, `src/llamafactory/data/loader.py`). The roles are its
    defaults, so no `tags` are needed (`parser.py`).
    """
    columns = {"messages": "conversations"} | {name: name for name in (*_COLUMNS[format_name], "system", "tools")}
    ranking = {"ranking": True} if format_name == "dpo" else {}
    entry = {"script_url": ".", "formatting": "sharegpt", **ranking}
    entries = {split: {**entry, "split": split, "columns": columns} for split in splits}
    return {"dataset_info.json": json.dumps(entries, indent=2) + "\n"}


def usage(format_name: str, folder: str, split: str) -> list[str]:
    """Return paragraphs of Markdown for the dataset card."""
    return [
        "Train with LLaMA-Factory: `dataset_info.json` names a dataset for each split.",
        f"```yaml\nstage: {_STAGES[format_name]}\ndataset_dir: {folder}\ndataset: {split}\n```",
    ]
