"""What an output was given, part by part: kept beside it so that an export that was killed can be taken up."""

from __future__ import annotations

import hashlib
import secrets
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from polars_export.execution.tasks import RenderPart, RenderSelection
from polars_export.sources import segments
from polars_export.sources.fingerprint import boot_id, fingerprint
from polars_export.writers.append_log import AppendLog
from polars_export.writers.manifest import versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from polars_export.execution.tasks import RenderedPart
    from polars_export.options import ExportOptions

__all__ = ["Entry", "Journal", "RenderTask", "job_key"]

RenderTask: TypeAlias = RenderPart | RenderSelection


class Entry(NamedTuple):
    """A part that the output was given.

    Attributes:
        key: Tells all that decides on its bytes, but for the key of the job.
        part: What was given.
        rejected: Bytes that the file of the rejects was given with it.
    """

    key: str
    part: RenderedPart
    rejected: int


class Journal:
    """The account of an export under way, part by part.

    Args:
        path: Its file; None to keep none.
        resumed: Whether that is the file of an export that is taken up.
    """

    def __init__(self, path: Path | None, *, resumed: bool) -> None:
        self._file = AppendLog(path) if path else None
        self._taken_up = resumed

    def done(self, tasks: Iterable[RenderTask]) -> tuple[list[tuple[RenderTask, Entry]], Iterator[RenderTask]]:
        """Return what was done of some tasks, from the first on, and the tasks that are left to do.

        A task whose sources have changed since is left to do, and so are all behind it.
        """
        left = iter(tasks)
        done: list[tuple[RenderTask, Entry]] = []
        if not self._taken_up or self._file is None:
            return done, left
        end = 0
        for entry, its_end in self._file.entries():
            task = next(left, None)
            if task is None or self.key_of(task) != entry.key:
                left = chain([] if task is None else [task], left)
                break
            done.append((task, entry))
            end = its_end
        self._file.cut(end)
        return done, left

    def key_of(self, task: RenderTask) -> str | None:
        """Return what tells all that decides on the bytes of a part; None where that cannot be told."""
        if self._file is None:
            return None
        if isinstance(task, RenderPart):
            paths, work = [segment.path for segment in task.part], repr(task)
        else:
            paths, work = [stored.source for _, stored in sorted(task.stored.items())], repr(task.places.rows())
        known = [fingerprint(path) for path in paths]
        return None if None in known else _digest([known, work])

    def add(self, key: str | None, part: RenderedPart, rejected: int) -> None:
        """Append a part when all that it has brought is in the files of the output."""
        if self._file and key:
            self._file.add(Entry(key, part, rejected))
        else:
            self.close()
            self._file = None  # nor can anything be taken up that stands behind it

    def close(self) -> None:
        """Let go of the file."""
        if self._file:
            self._file.close()


def job_key(beside: Sequence[str], options: ExportOptions) -> str:
    """Return what tells all that decides on the bytes of an output but for the results themselves.

    And since when the machine has been up: what was written before a power failure may not be on its disk.

    Args:
        beside: The files that are read beside the results. What cannot be told of one is never the same twice.
        options: What is asked for.
    """
    known = [(path, fingerprint(path) or secrets.token_hex()) for path in beside]
    return _digest([versions(), options.as_dict(), segments.PART_BYTES, known, boot_id()])


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "backslashreplace")).hexdigest()
