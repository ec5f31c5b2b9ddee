"""Which parts an export has written, kept beside its output so that an interrupted export can be resumed."""

from __future__ import annotations

import hashlib
import operator
import secrets
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from polars_export.execution.tasks import RenderPart, RenderSelection, RenderTables, StoreTables, TablePart
from polars_export.sources import segments
from polars_export.sources.fingerprint import boot_id, fingerprint
from polars_export.writers.append_log import AppendLog
from polars_export.writers.manifest import versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from polars_export.execution.tasks import RenderedPart
    from polars_export.options import ExportOptions
    from polars_export.writers.manifest import SideInputFiles

__all__ = ["Entry", "Journal", "RenderTask", "job_key"]

RenderTask: TypeAlias = RenderPart | RenderTables | RenderSelection | StoreTables


class Entry(NamedTuple):
    """A part that is written.

    Attributes:
        key: Tells all that decides on its bytes, but for the key of the job.
        part: What was written.
        rejected_bytes: Bytes that were appended with it to the file of the invalid records.
    """

    key: str
    part: RenderedPart
    rejected_bytes: int


class Journal:
    """The parts that are written, in order.

    Args:
        path: Its file; None to keep none.
        resumed: Whether that is the file of an interrupted export.
    """

    def __init__(self, path: Path | None, *, resumed: bool) -> None:
        self._file = AppendLog(path) if path else None
        self._resumed = resumed

    def split(self, tasks: Iterable[RenderTask]) -> tuple[list[tuple[RenderTask, Entry]], Iterator[RenderTask]]:
        """Return the first tasks, whose parts are written, each with its entry, and the tasks that are left.

        A task whose sources have changed since is left, and so are all behind it.
        """
        left = iter(tasks)
        written: list[tuple[RenderTask, Entry]] = []
        if not self._resumed or self._file is None:
            return written, left
        end = 0
        for entry, entry_end in self._file.entries():
            task = next(left, None)
            if task is None or self.key_of(task) != entry.key:
                left = chain([] if task is None else [task], left)
                break
            written.append((task, entry))
            end = entry_end
        self._file.cut(end)
        return written, left

    def key_of(self, task: RenderTask) -> str | None:
        """Return a digest of all that decides on the bytes of a part; None where a source cannot be read again."""
        if self._file is None:
            return None
        if not isinstance(task, RenderSelection):
            part, work = task.part, repr(task)
            paths = list(part.tables.paths) if isinstance(part, TablePart) else [segment.path for segment in part]
        else:
            sources = [source for _, source in sorted(task.stored.items(), key=operator.itemgetter(0))]
            paths, work = [path for source in sources for path in source.paths], repr(task.traces.rows())
        known = [fingerprint(path) for path in paths]
        return None if None in known else _digest([known, work])

    def add(self, key: str | None, part: RenderedPart, rejected_bytes: int) -> None:
        """Append a part when all of it is in the files of the output."""
        if self._file and key:
            self._file.add(Entry(key, part, rejected_bytes))
        else:
            self.close()
            self._file = None  # nor can a part be resumed that stands behind this one

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()


def job_key(side_inputs: SideInputFiles, options: ExportOptions) -> str:
    """Return a digest of all that decides on the bytes of an output but for the traces.

    And since when the machine has been up: what was written before a power failure may not be on its disk.

    Args:
        side_inputs: The files with prompts and tools, by their contents. One that cannot be read again never gives the
            same key.
        options: What is asked for.
    """
    files = [*side_inputs.prompts, *([side_inputs.tools] if side_inputs.tools else [])]
    known = [(file.path, file.checksum or secrets.token_hex()) for file in files]
    return _digest([versions(), options.as_dict(), segments.PART_BYTES, known, boot_id()])


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "backslashreplace")).hexdigest()
