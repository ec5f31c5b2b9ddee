"""What a program reads beside the data: the account of the export, and LLaMA-Factory's entry for the folder."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from polars_export.writers.dataset_repository import Shard

__all__ = ["render_dataset_info", "render_manifest", "versions"]

_PACKAGES = ("polars-export", "polars", "pyarrow", "msgspec")


def render_manifest(
    *,
    sources: Iterable[tuple[str, int | None]],
    options: Mapping[str, object],
    counts: Mapping[str, int | Mapping[str, int]],
    shards: Sequence[Shard],
    timings: Mapping[str, float],
) -> str:
    """Return `manifest.json`: the same text for the same export but for `timings`, which stand at its end.

    A source is its path and its size in bytes, null where it was piped. Timings are seconds. What is no text in a path
    becomes a question mark, because JSON has no bytes.
    """
    manifest = {
        "versions": versions(),
        "options": dict(sorted(options.items())),
        "sources": [{"path": path, "bytes": size} for path, size in sources],
        "counts": {name: _by_name(count) for name, count in sorted(counts.items())},
        "shards": [asdict(shard) for shard in shards],
        "timings": {name: round(seconds, 3) for name, seconds in sorted(timings.items())},
    }
    return _json(manifest)


def render_dataset_info(format_name: str, splits: Sequence[str], *, has_system: bool, has_tools: bool) -> str:
    """Return `dataset_info.json`: with the folder as its `dataset_dir`, LLaMA-Factory knows a dataset for each split.

    `script_url` is joined to `dataset_dir` and given to `load_dataset`, which reads the card and so keeps the splits
    apart; `file_name: data` would mix them (LLaMA-Factory, `src/llamafactory/data/loader.py`). The roles are its
    defaults, so no `tags` are needed (`parser.py`).

    Raises:
        ValueError: LLaMA-Factory has no such format.
    """
    if format_name not in {"sharegpt", "kto", "dpo"}:
        raise ValueError(f"LLaMA-Factory has no format {format_name}")
    columns = {"messages": "conversations"}
    if format_name == "dpo":
        columns |= {"chosen": "chosen", "rejected": "rejected"}
    if format_name == "kto":
        columns["kto_tag"] = "kto_tag"
    columns |= {name: name for name, there in (("system", has_system), ("tools", has_tools)) if there}
    ranking = {"ranking": True} if format_name == "dpo" else {}
    entry = {"script_url": ".", "formatting": "sharegpt", **ranking}
    return _json({split: {**entry, "split": split, "columns": columns} for split in splits})


@cache
def versions() -> dict[str, str | None]:
    """Return the versions of what decides on the bytes of an output, None where one is run from its source."""
    return {name.replace("-", "_"): _version(name) for name in _PACKAGES}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # run from its source
        return None


def _by_name(count: int | Mapping[str, int]) -> int | dict[str, int]:
    return count if isinstance(count, int) else dict(sorted(count.items()))


def _json(value: object) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=str)
    return text.encode(errors="replace").decode() + "\n"
