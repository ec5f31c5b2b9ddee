"""Find the files that may hold traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.inputs.registry import dialects
from polars_export.sources.find import Search, as_list, find_files
from polars_export.sources.side_file import absolute

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from polars_export.sources.find import FoundFile, Sources

__all__ = ["EVAL_STORE", "find_sources"]

EVAL_STORE = frozenset({"results", "sets"})
"""The folders of an eval store: its results, and the eval sets with their prompts."""

_SEARCH = Search(
    endings=(
        *(f"{name}{codec}" for name in (".json", ".jsonl", ".ndjson") for codec in ("", ".gz", ".zst")),
        *(".parquet", ".arrow", ".eval", ".traj"),
    ),
    content="traces (.json, .jsonl or .ndjson, also with .gz or .zst; .parquet, .arrow, .eval or .traj)",
    layout=EVAL_STORE,
    layout_folder="results",
)


def find_sources(sources: Sources) -> list[FoundFile]:
    """Return the files of paths, directories, globs and `-`, in the order given; of eval stores those of the results.

    A file that another one continues with counts as searched where both are named: it is not a source of its own.

    Raises:
        SourceError: A source does not exist, a glob matches nothing, or a directory holds no file of a known ending.
    """
    found = [file for source in as_list(sources) for file in find_files(source, _SEARCH)]
    paths = {absolute(file.path) for file in found}
    return [file._replace(searched=True) if _is_continuation(file.path, paths) else file for file in found]


def _is_continuation(path: str, paths: AbstractSet[str]) -> bool:
    firsts = (dialect.continued_by(path) for dialect in dialects().values())
    return any(first is not None and absolute(first) in paths for first in firsts)
