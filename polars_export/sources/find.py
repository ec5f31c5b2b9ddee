"""Find the files that a user's sources name."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from polars_export.errors import SourceError
from polars_export.names import UNDER_WAY
from polars_export.sources.stream import STDIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["STORE", "Found", "Source", "Sources", "eval_sets", "find_matches", "find_sources", "listed", "walk"]

Source: TypeAlias = str | os.PathLike[str]
Sources: TypeAlias = "Source | Iterable[Source]"

STORE = {"results", "sets"}
"""The folders of an eval store: one holds its results, the other the eval sets with their prompts."""

_ENDINGS = tuple(
    f"{ending}{compression}" for ending in (".json", ".jsonl", ".ndjson") for compression in ("", ".gz", ".zst")
)


class Found(NamedTuple):
    """A file to read, or standard input; `searched` if a directory was searched and the file not named by the user."""

    path: str
    searched: bool = False


def listed(sources: Sources) -> list[Source]:
    """Return sources as a list: one is a list of one, and what can be iterated over only once can be used again."""
    return [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)


def find_sources(sources: Sources) -> list[Found]:
    """Return the files of files, directories, globs and `-`, in the order given.

    A directory is searched recursively and its files sorted by path; one that holds both `results/` and `sets/` is an
    eval store, of which only the results are searched.

    Raises:
        SourceError: A source does not exist, a glob matches nothing, or a directory holds no file of a known ending.
    """
    found: list[Found] = []
    for source in listed(sources):
        try:
            found += _find(os.fspath(source))
        except OSError as error:
            raise SourceError(str(source), error.strerror or str(error)) from error
    return found


def find_matches(source: str) -> list[str]:
    """Return what a source names: itself, or what it matches as a glob."""
    if os.path.lexists(source) or not glob.has_magic(source):
        return [source]
    return sorted(glob.glob(source, recursive=True))  # noqa: PTH207 - a Path cannot hold a glob like ./**/x


def _find(source: str) -> Iterator[Found]:
    if source == STDIN or Path(source).is_file():
        yield Found(source)
    elif Path(source).is_dir():
        yield from _search(source)
    elif os.path.lexists(source) or not glob.has_magic(source):
        if not Path(source).exists():
            raise SourceError(source, "no such file or directory")
        yield Found(source)  # a named pipe or a device
    else:
        matches = find_matches(source)
        if not matches:
            raise SourceError(source, "no file matches")
        # `**` matches a directory and the files in it: each file is read once.
        yield from {found.path: found for match in matches for found in _find(match)}.values()


def _search(directory: str) -> Iterator[Found]:
    paths: list[str] = []
    for folder, folders, files in walk(directory):
        if set(folders) >= STORE:
            folders[:] = ["results"]
            continue
        paths += [os.path.join(folder, file) for file in files if file.endswith(_ENDINGS)]  # noqa: PTH118
    if not paths:
        raise SourceError(
            directory, "the directory holds no results (.json, .jsonl or .ndjson, or these with .gz or .zst)"
        )
    yield from (Found(path, searched=True) for path in sorted(paths))


def eval_sets(prompts: Sources, sources: Sources) -> list[Source]:
    """Return the eval sets that are in force: those given as prompts, else those of eval stores.

    These are the `sets/` of every store among sources of results, or found where these are searched.

    Raises:
        SourceError: A directory cannot be searched.
    """
    if given := listed(prompts):
        return given
    found: dict[str, Source] = {}
    for source in (os.fspath(source) for source in listed(sources)):
        for match in find_matches(source):
            for folder, folders, _ in walk(match):
                if set(folders) >= STORE:
                    sets = os.path.join(folder, "sets")  # noqa: PTH118
                    found.setdefault(os.path.realpath(sets), sets)
                    folders.clear()
    return list(found.values())


def walk(directory: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk down a directory as `os.walk` does, folders sorted, into none twice; where it is no directory: nothing.

    What an export has under way, or has left where it was killed, is not there.

    Raises:
        SourceError: A folder cannot be read.
    """
    if not os.path.isdir(directory):  # noqa: PTH112 - a name too long is no directory, not an error
        return
    seen: set[tuple[int, int]] = set()  # links may lead back to where the walk has been
    for folder, folders, files in os.walk(directory, onerror=_refuse, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith(UNDER_WAY))
        place = Path(folder).stat()
        if (place.st_dev, place.st_ino) in seen:
            folders.clear()
            continue
        seen.add((place.st_dev, place.st_ino))
        yield folder, folders, files


def _refuse(error: OSError) -> None:
    raise SourceError(str(error.filename), error.strerror or str(error))
