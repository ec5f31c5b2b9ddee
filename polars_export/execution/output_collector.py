"""Write what the tasks of an export render to its output, in order, and keep counts and journal in step with it."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from polars_export.execution.journal import Journal
from polars_export.writers.disk import os_errors_reported
from polars_export.writers.file_assembler import blocks_of, placeholder_blocks
from polars_export.writers.rejects import RejectsFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polars_export.execution.executor import Executor
    from polars_export.execution.journal import RenderTask
    from polars_export.execution.run_state import RunState
    from polars_export.execution.tasks import PartAccount
    from polars_export.writers import Output

__all__ = ["OutputCollector"]


class OutputCollector:
    """Takes the parts of an export; a context manager.

    A resumed export begins with the parts that the interrupted one had written: the journal has what they counted, and
    the files of the output step over their bytes.

    Args:
        output: Its name, for messages.
        opened: The output.
        state: Takes the counts.

    Raises:
        OutputError: Something could not be written.
    """

    def __init__(self, output: str, opened: Output, state: RunState) -> None:
        self._output = output
        self._opened = opened
        self._state = state
        self._journal = Journal(opened.journal, resumed=opened.files.resumed)
        self._rejects = RejectsFile(opened.rejects, opened.files)

    def add_scanned(self, part: PartAccount) -> None:
        """Take the counts and rejects of a part that is scanned. The journal does not have it: a resume scans again."""
        self._rejects.begin_anew()
        self._append_rejects(part)
        self._state.add_scanned(part)

    def render(self, tasks: Iterable[RenderTask], executor: Executor) -> None:
        """Run tasks, but for those whose parts are written already, and write the parts that they render."""
        with os_errors_reported(self._output):
            tasks_left = self._replay(tasks)
        keys: deque[str | None] = deque()
        for part in executor.run(self._with_keys_noted(tasks_left, keys), self._state.add_progress):
            self._opened.writer.add(blocks_of(part.path, part.blocks))
            rejected_bytes = self._append_rejects(part.account)
            self._state.add_rendered(part)
            with os_errors_reported(self._output):
                self._journal.add(keys.popleft(), part, rejected_bytes)

    def _replay(self, tasks: Iterable[RenderTask]) -> Iterator[RenderTask]:
        """Take the parts that are written already, and return the tasks that are left."""
        written, tasks_left = self._journal.split(tasks)
        if self._state.rejects:
            self._rejects.open()
        for task, entry in written:
            self._opened.writer.add(placeholder_blocks(entry.part.blocks))
            if entry.rejected_bytes:
                self._rejects.pass_over(entry.rejected_bytes)
            self._state.add_rendered(entry.part)
            counters = entry.part.account.counters
            self._state.resumed += counters.exported
            self._state.add_progress(task.size, counters.traces_read)
        self._opened.files.end_replay()
        return tasks_left

    def _with_keys_noted(self, tasks: Iterable[RenderTask], keys: deque[str | None]) -> Iterator[RenderTask]:
        """Yield tasks, and note the key of each before its sources are read; the results come in the same order."""
        for task in tasks:
            keys.append(self._journal.key_of(task))
            yield task

    def _append_rejects(self, part: PartAccount) -> int:
        """Append the invalid records of a part to their file, and return how many bytes that takes."""
        if part.rejects is None:
            return 0
        with os_errors_reported(self._output):
            return self._rejects.add(part.rejects, self._state.lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        with suppress(OSError) if kind else os_errors_reported(self._output):
            self._journal.close()
            self._rejects.close()
