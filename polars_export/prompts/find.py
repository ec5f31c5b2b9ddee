"""Find the files of eval sets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from polars_export.errors import SourceError
from polars_export.inputs.find import EVAL_STORE
from polars_export.sources.find import Search, as_list, expand, file_identity, find_files, raise_if_stream, walk
from polars_export.sources.stream import STDIN

if TYPE_CHECKING:
    from polars_export.sources.find import Source, Sources

__all__ = ["eval_sets_of", "find_eval_set_files"]

_SETS = "sets"
_SEARCH = Search(
    endings=(".json", ".yaml", ".yml"),
    content="eval sets (.json, .yaml or .yml)",
    layout=EVAL_STORE,
    layout_folder=_SETS,
)


def eval_sets_of(sources: Sources, prompts: Sources) -> list[Source]:
    """Return where the eval sets of sources are: the prompts that the user gives, else the `sets/` of eval stores.

    These are the stores among the sources, and those that a search of the sources finds.

    Raises:
        SourceError: A directory cannot be searched.
    """
    if given := as_list(prompts, "prompts"):
        return given
    found: dict[str, Source] = {}
    for path in (path for source in as_list(sources) for path in expand(os.fspath(source))):
        for folder, folders, _ in walk(path):
            if set(folders) >= EVAL_STORE:
                sets = os.path.join(folder, _SETS)  # noqa: PTH118 - as the search joins them
                found.setdefault(file_identity(sets), sets)
                folders.clear()
    return list(found.values())


def find_eval_set_files(eval_sets: Sources) -> list[str]:
    """Return the files of paths, directories and globs that name eval sets, each file once; of eval stores the sets.

    Raises:
        SourceError: There is no such file, or a directory holds none.
    """
    found: dict[str, str] = {}
    for source in (os.fspath(source) for source in as_list(eval_sets)):
        if source == STDIN:
            raise SourceError(source, "eval sets are not read from standard input; give a file, a directory or a glob")
        for file in find_files(source, _SEARCH):
            if file.searched:
                raise_if_stream(file.path)
            found.setdefault(file_identity(file.path), file.path)
    return list(found.values())
