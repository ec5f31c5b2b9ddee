"""Give an output what comes back from the workers, part by part, and keep account and journal of it."""

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
    from polars_export.execution.tasks import PartAccount, RenderedPart
    from polars_export.writers import Output

__all__ = ["OutputCollector"]


class OutputCollector:
    """What was done by an export that is taken up comes first; so all that is counted or written comes through here.

    Args:
        output: Its name, for messages.
        opened: The output.
        account: Takes the counts.

    Raises:
        OutputError: Something could not be written.
    """

    def __init__(self, output: str, opened: Output, account: RunState) -> None:
        self._output = output
        self._opened = opened
        self._account = account
        self._journal = Journal(opened.journal, resumed=opened.files.resumed)
        self._rejects = RejectsFile(opened.rejects, opened.files)

    def scanned(self, part: PartAccount) -> None:
        """Take the account of a part of which nothing is written yet; such parts are never taken over."""
        self._rejects.begin_anew()
        self._set_aside(part)
        self._account.add(part)

    def render(self, tasks: Iterable[RenderTask], executor: Executor) -> None:
        """Have tasks done, but for those that were done before, and take what they make."""
        with os_errors_reported(self._output):
            left = self._take_over(tasks)
        keys: deque[str | None] = deque()
        for part in executor.run(self._noted(left, keys), self._account.told):
            self._opened.writer.add(blocks_of(part.path, part.blocks))
            rejected = self._set_aside(part.account)
            self._count(part)
            with os_errors_reported(self._output):
                self._journal.add(keys.popleft(), part, rejected)

    def _take_over(self, tasks: Iterable[RenderTask]) -> Iterator[RenderTask]:
        """Take what was done, and return the tasks that are left."""
        done, left = self._journal.done(tasks)
        if self._account.rejects:
            self._rejects.open()
        for task, entry in done:
            self._opened.writer.add(placeholder_blocks(entry.part.blocks))
            if entry.rejected:
                self._rejects.pass_over(entry.rejected)
            self._count(entry.part)
            tally = entry.part.account.tally
            self._account.resumed += tally.exported
            self._account.told(task.size, tally.traces_read)
        self._opened.files.end_replay()
        return left

    def _noted(self, tasks: Iterable[RenderTask], keys: deque[str | None]) -> Iterator[RenderTask]:
        """Yield tasks, and note their keys before the sources are read; the results come in the same order."""
        for task in tasks:
            keys.append(self._journal.key_of(task))
            yield task

    def _count(self, part: RenderedPart) -> None:
        self._account.add(part.account)
        self._account.seen.add(part.seen)

    def _set_aside(self, part: PartAccount) -> int:
        """Append what a part sets aside, and return how many bytes that takes."""
        if part.rejects is None:
            return 0
        with os_errors_reported(self._output):
            return self._rejects.add(part.rejects, self._account.lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        with suppress(OSError) if kind else os_errors_reported(self._output):
            self._journal.close()
            self._rejects.close()
