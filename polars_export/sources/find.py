"""Find the files that a user names: by their paths, by globs, or by directories to search."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from polars_export.errors import SourceError
from polars_export.option_values import paths
from polars_export.sources.store import FileKind, as_source_error, store_for
from polars_export.sources.stream import STDIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "FoundFile",
    "Search",
    "Source",
    "Sources",
    "as_list",
    "expand",
    "file_identity",
    "find_files",
    "raise_if_stream",
    "searched_directories",
    "walk",
]

Source: TypeAlias = str | os.PathLike[str]
Sources: TypeAlias = "Source | Iterable[Source]"


class FoundFile(NamedTuple):
    """A file to read, or standard input; `searched` if a search found it and the user did not name it."""

    path: str
    searched: bool = False


class Search(NamedTuple):
    """What to look for in directories.

    Attributes:
        endings: How the names of the files end.
        content: What they hold, as an error says it.
        layout: Names of folders: where a directory holds all of them, only `layout_folder` is searched.
        layout_folder: One of them.
    """

    endings: tuple[str, ...]
    content: str
    layout: frozenset[str]
    layout_folder: str


def as_list(sources: Sources, option: str = "sources") -> list[Source]:
    """Return sources as a list: one is a list of one, and what can be iterated over only once can be used again.

    Raises:
        OptionError: They are no paths; it names the option.
    """
    return list(paths(option, sources))


def find_files(source: Source, search: Search) -> list[FoundFile]:
    """Return the files of a path, a glob or `-`; a directory is searched recursively, and its files sorted by path.

    The search skips hidden files and folders. Of several paths that lead to one file, as links do, only the first is
    returned; it counts as named by the user if one of them does.

    Raises:
        SourceError: There is no such file, no file matches, or a directory cannot be searched or holds no such file.
    """
    found: dict[str, FoundFile] = {}
    for file in _files_of(os.fspath(source), search):
        identity = file_identity(file.path)
        first = found.setdefault(identity, file)
        if first.searched and not file.searched:
            found[identity] = first._replace(searched=False)
    return list(found.values())


def _files_of(source: str, search: Search) -> Iterator[FoundFile]:
    if source == STDIN:
        yield FoundFile(STDIN)
        return
    paths = expand(source)
    if not paths:
        raise SourceError(source, "no file matches")
    for path in paths:
        if _kind_of(path) is FileKind.FOLDER:
            yield from _files_below(path, search)
        else:
            yield FoundFile(path)


def _kind_of(path: str) -> FileKind:
    with as_source_error(path):
        try:
            return store_for(path).status(path).kind
        except FileNotFoundError as error:
            raise SourceError(path, "no such file or directory") from error


def _files_below(directory: str, search: Search) -> Iterator[FoundFile]:
    paths: list[str] = []
    for folder, folders, files in walk(directory):
        if search.layout <= set(folders):
            folders[:] = [search.layout_folder]
        else:
            paths += [os.path.join(folder, name) for name in files if name.endswith(search.endings)]  # noqa: PTH118
    if not paths:
        raise SourceError(directory, f"the directory holds no {search.content}")
    yield from (FoundFile(path, searched=True) for path in sorted(paths))


def expand(source: str) -> list[str]:
    """Return the paths that a source names: itself or, if it is a glob, what it matches."""
    with as_source_error(source):
        return store_for(source).expand(source)


def file_identity(path: str) -> str:
    """Return which file a path leads to: the same for all links to one file; the path where it leads nowhere."""
    try:
        return store_for(path).status(path).identity
    except (OSError, ValueError):
        return path


def searched_directories(sources: Sources, found: Iterable[FoundFile]) -> list[str]:
    """Return the directories that a search looks into: those named as sources, and those of the files found."""
    named = [path for source in as_list(sources) for path in expand(os.fspath(source))]
    of_files = {os.path.dirname(file.path) for file in found if file.searched}  # noqa: PTH120 - as many as files
    return [path for path in (*named, *sorted(of_files)) if _is_folder(path)]


def raise_if_stream(path: str) -> None:
    """Refuse to read what was found in a search and may wait for ever for somebody to write.

    Raises:
        SourceError: It is a pipe or a device.
    """
    try:
        kind = store_for(path).status(path).kind
    except (OSError, ValueError):
        return  # opening it raises the error
    if kind is FileKind.STREAM:
        raise SourceError(path, "a pipe or a device is read only if it is named as a source")


def walk(directory: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield a directory and the folders below it, each with the names of the folders and files in it.

    As with `os.walk`, the caller may remove folders from the list to keep the walk out of them. Folders are sorted,
    and a link leads into none a second time. Hidden files and folders, such as those in which an export is under way,
    are skipped. What is no directory yields nothing.

    Raises:
        SourceError: A folder cannot be read.
    """
    pending = [directory] if _is_folder(directory) else []
    visited: set[str] = set()
    while pending:
        path = pending.pop()
        identity = file_identity(path)
        if identity in visited:
            continue
        visited.add(identity)
        with as_source_error(path):
            found = store_for(path).list(path)
        folders = sorted(name for name in found.folders if not name.startswith("."))
        yield path, folders, [name for name in found.files if not name.startswith(".")]
        pending += [os.path.join(path, name) for name in reversed(folders)]  # noqa: PTH118


def _is_folder(path: str) -> bool:
    try:
        return store_for(path).status(path).kind is FileKind.FOLDER
    except (OSError, ValueError):  # such as a name that is too long
        return False
