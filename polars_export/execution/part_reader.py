"""Read the chunks of a part, and keep the account of what it holds."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from polars_export.errors import InputError, OptionError
from polars_export.execution.quarantine import Quarantine, RaiseFirst
from polars_export.execution.read_options import read_options
from polars_export.execution.tasks import PartAccount, add_lines
from polars_export.inputs.reader import SourceReader
from polars_export.report import DropReason
from polars_export.selection.rules import rules_of
from polars_export.sources.fingerprint import block_checksums
from polars_export.sources.stream import is_piped
from polars_export.writers.rejects import PartRejects

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TypeAlias

    from polars_export.execution.quarantine import Rejects
    from polars_export.execution.tasks import Job, OnProgress
    from polars_export.inputs.dialect import Match
    from polars_export.inputs.partition import Part
    from polars_export.sources.chunk import Chunk
    from polars_export.sources.segments import Segment

    LocatedChunk: TypeAlias = tuple[Segment, Match, Chunk]

__all__ = ["PartReader"]


class PartReader:
    """Reads the parts of one job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._read_options = read_options(job.options)
        self._reads_twice = bool(rules_of(job.options).across)

    @contextmanager
    def open(self, number: int) -> Iterator[tuple[PartAccount, Rejects]]:
        """Open the account of a part, and what takes the records that cannot be used."""
        if not self._job.options.skips:
            yield PartAccount(), RaiseFirst()
            return
        path = self._job.parts / f"{number:06d}-rejects"
        with closing(PartRejects(path, self._job.output)) as file:
            yield PartAccount(rejects=path), Quarantine(file)

    def chunks(
        self, part: Part, account: PartAccount, rejects: Rejects, on_progress: OnProgress, *, again: bool = False
    ) -> Iterator[LocatedChunk]:
        """Yield the chunks of a part, each with its segment and what its source is.

        With `again`, what was kept of a source that cannot be read twice may be only a part of it.
        """
        for segment in part:
            rejects.segment = segment
            spool = None if again and not is_piped(segment.path) else self.spool(segment)
            reader = SourceReader(segment, spool, self._read_options)
            reported = 0
            try:
                for match, chunk in reader.chunks():
                    self._check_input(segment, match)
                    yield segment, match, chunk
                    on_progress(reader.bytes_read - reported, len(chunk.spans))
                    reported = reader.bytes_read
            except InputError as error:
                count = rejects.rest(error)
                account.counters.traces_read += count
                account.counters.drop(DropReason.INVALID, count)
            on_progress(reader.bytes_read - reported, 0)
            add_lines(account.lines, {segment.number: reader.lines})
            if self._job.into_directory and not is_piped(segment.path):
                blocks = block_checksums(segment)
                account.checksums.setdefault(segment.number, {}).update(blocks)
            if reader.skip_reason is not None:
                account.skipped_files[segment.path] = reader.skip_reason

    def _check_input(self, segment: Segment, match: Match) -> None:
        """Check that the target has records for a kind of input.

        Raises:
            OptionError: It has none.
        """
        target = self._job.options.target
        if target.inputs and match.input not in target.inputs:
            raise OptionError(
                "target",
                f"{target} is defined for {', '.join(target.inputs)}, and {segment.path} holds {match.input}; "
                "choose --target trl",
            )

    def spool(self, segment: Segment) -> Path | None:
        """Return where a source is kept that must be read twice and cannot be, or only from its beginning."""
        return self._job.parts / f"source-{segment.number}" if self._reads_twice else None
