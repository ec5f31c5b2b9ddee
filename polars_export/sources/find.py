"""Find the files that a user's sources name."""

from __future__ import annotations

import glob
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from polars_export.errors import SourceError
from polars_export.sources.stream import STDIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "FoundFile",
    "Source",
    "Sources",
    "searched_directories",
    "eval_sets",
    "find_eval_set_files",
    "expand_glob",
    "find_sources",
    "as_list",
    "raise_if_named_pipe",
]

Source: TypeAlias = str | os.PathLike[str]
Sources: TypeAlias = "Source | Iterable[Source]"

_STORE = {"results", "sets"}
"""The folders of an eval store: one holds its results, the other the eval sets with their prompts."""

_ENDINGS = tuple(
    f"{ending}{compression}" for ending in (".json", ".jsonl", ".ndjson") for compression in ("", ".gz", ".zst")
)
_ENDINGS_OF_SETS = (".json", ".yaml", ".yml")


class FoundFile(NamedTuple):
    """A file to read, or standard input; `searched` if a directory was searched and the file not named by the user."""

    path: str
    searched: bool = False


def as_list(sources: Sources) -> list[Source]:
    """Return sources as a list: one is a list of one, and what can be iterated over only once can be used again."""
    return [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)


def find_sources(sources: Sources) -> list[FoundFile]:
    """Return the files of files, directories, globs and `-`, in the order given.

    A directory is searched recursively and its files sorted by path; one that holds both `results/` and `sets/` is an
    eval store, of which only the results are searched. The search skips hidden files and folders, and links to a file
    that it has found already. A glob, too, matches each file once.

    Raises:
        SourceError: A source does not exist, a glob matches nothing, or a directory holds no file of a known ending.
    """
    found: list[FoundFile] = []
    for source in as_list(sources):
        try:
            found += _find(os.fspath(source))
        except OSError as error:
            raise SourceError(str(source), error.strerror or str(error)) from error
    return found


def searched_directories(sources: Sources, found: Iterable[FoundFile]) -> list[str]:
    """Return the directories that are searched: those that sources name, and those of files found, as by a link."""
    named = [match for source in as_list(sources) for match in expand_glob(os.fspath(source))]
    met = {os.path.dirname(source.path) for source in found if source.searched}  # noqa: PTH120 - as many as files
    return [path for path in (*named, *sorted(met)) if os.path.isdir(path)]  # noqa: PTH112 - names may be too long


def expand_glob(source: str) -> list[str]:
    """Return what a source names: itself, or what it matches as a glob."""
    if os.path.lexists(source) or not glob.has_magic(source):
        return [source]
    return sorted(glob.glob(source, recursive=True))  # noqa: PTH207 - a Path cannot hold a glob like ./**/x


def _find(source: str) -> Iterator[FoundFile]:
    if source == STDIN or Path(source).is_file():
        yield FoundFile(source)
    elif Path(source).is_dir():
        yield from _search(source)
    elif os.path.lexists(source) or not glob.has_magic(source):
        if not Path(source).exists():
            raise SourceError(source, "no such file or directory")
        yield FoundFile(source)  # a named pipe or a device
    else:
        matches = expand_glob(source)
        if not matches:
            raise SourceError(source, "no file matches")
        # `**` matches a directory and the files in it: each file is read once, and counts as named.
        found: dict[object, FoundFile] = {}
        for file in (file for match in matches for file in _find(match)):
            first = found.setdefault(_identity(file.path), file)
            if first.searched and not file.searched:
                found[_identity(file.path)] = first._replace(searched=False)
        yield from found.values()


def _search(directory: str) -> Iterator[FoundFile]:
    paths = _files_below(directory, "results", _ENDINGS)
    if not paths:
        raise SourceError(
            directory, "the directory holds no results (.json, .jsonl or .ndjson, or these with .gz or .zst)"
        )
    yield from (FoundFile(path, searched=True) for path in paths)


def _files_below(directory: str, of_stores: str, endings: tuple[str, ...]) -> list[str]:
    """Return the files below a directory whose names end so, sorted; of eval stores those below one of their folders.

    Of several paths that lead to one file, as links do, only the first is returned.

    Raises:
        SourceError: A folder cannot be read.
    """
    paths: list[str] = []
    for folder, folders, files in _walk(directory):
        if set(folders) >= _STORE:
            folders[:] = [of_stores]
            continue
        paths += [os.path.join(folder, file) for file in files if file.endswith(endings)]  # noqa: PTH118
    by_identity: dict[object, str] = {}
    for path in sorted(paths):
        by_identity.setdefault(_identity(path), path)
    return list(by_identity.values())


def _identity(path: str) -> object:
    """Return which file a path leads to: equal for all links to one file; the path where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - of many files
    except OSError:
        return path
    return status.st_dev, status.st_ino


def eval_sets(prompts: Sources, sources: Sources) -> list[Source]:
    """Return the eval sets that are in force: those given as prompts, else those of eval stores.

    These are the `sets/` of every store among sources of results, or found where these are searched.

    Raises:
        SourceError: A directory cannot be searched.
    """
    if given := as_list(prompts):
        return given
    found: dict[str, Source] = {}
    for source in (os.fspath(source) for source in as_list(sources)):
        for match in expand_glob(source):
            for folder, folders, _ in _walk(match):
                if set(folders) >= _STORE:
                    sets = os.path.join(folder, "sets")  # noqa: PTH118
                    found.setdefault(os.path.realpath(sets), sets)
                    folders.clear()
    return list(found.values())


def find_eval_set_files(named: Sources) -> list[str]:
    """Return the files that eval sets are named by: files, directories and globs, each file once.

    A directory is searched recursively and its files sorted by path; of an eval store only the `sets/` are.

    Raises:
        SourceError: There is no such file, or a directory holds none.
    """
    found: dict[object, str] = {}
    for source in (os.fspath(source) for source in as_list(named)):
        if source == STDIN:
            raise SourceError(source, "eval sets are not read from standard input; give a file, a directory or a glob")
        matches = expand_glob(source)
        if not matches:
            raise SourceError(source, "no file matches")
        for path in (path for match in matches for path in _find_eval_sets(match)):
            found.setdefault(_identity(path), path)
    return list(found.values())


def _find_eval_sets(source: str) -> Iterable[str]:
    if not os.path.isdir(source):  # noqa: PTH112 - Path.is_dir raises where a name is too long
        return (found.path for found in find_sources(source))
    paths = _files_below(source, "sets", _ENDINGS_OF_SETS)
    if not paths:
        raise SourceError(source, "the directory holds no eval sets (.json, .yaml or .yml)")
    for path in paths:
        raise_if_named_pipe(path)
    return paths


def raise_if_named_pipe(path: str) -> None:
    """Refuse what was met in a search and would wait for ever for somebody to write.

    Raises:
        SourceError: It is a named pipe.
    """
    with suppress(OSError):  # whoever opens it will say what is wrong
        if stat.S_ISFIFO(os.stat(path).st_mode):  # noqa: PTH116 - of many files
            raise SourceError(path, "a named pipe is read only if it is named as a source")


def _walk(directory: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk down a directory as `os.walk` does, folders sorted, into none twice; where it is no directory: nothing.

    Hidden files and folders, such as those in which an export is under way, are skipped.

    Raises:
        SourceError: A folder cannot be read.
    """
    if not os.path.isdir(directory):  # noqa: PTH112 - a name too long is no directory, not an error
        return
    visited: set[object] = set()  # links may lead back to where the walk has been
    for folder, folders, files in os.walk(directory, onerror=_refuse, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if (identity := _identity(folder)) in visited:
            folders.clear()
            continue
        visited.add(identity)
        yield folder, folders, [name for name in files if not name.startswith(".")]


def _refuse(error: OSError) -> None:
    raise SourceError(str(error.filename), error.strerror or str(error))
