"""Everything that can go wrong, as one family of errors whose messages are derived from their fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "BadRecordError",
    "ExportError",
    "FormatNotImplementedError",
    "InputError",
    "MissingPromptError",
    "NothingToExportError",
    "OptionError",
    "OutputError",
    "SerializationError",
    "SourceError",
    "WorkerError",
]

_SIGKILL = 9  # with which the kernel ends a process where memory is short


class ExportError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_status: ClassVar[int] = 1
    """What the command line ends with."""

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (type(self), str(self), vars(self))  # so that errors cross from process to process


def _restored(kind: type[ExportError], message: str, fields: dict[str, object]) -> ExportError:
    error = kind.__new__(kind, message)
    vars(error).update(fields)
    return error


class OptionError(ExportError):
    """An option has a value that cannot be used.

    `option` is its name in Python; the message has the command line's spelling.
    """

    exit_status = 2

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(f"{_SPELLINGS.get(option) or '--' + option.replace('_', '-')}: {problem}")
        self.option = option
        self.problem = problem


_SPELLINGS = {
    "sources": "SOURCE",
    "options": "options",  # which only Python has, as
    **{name: name for name in ("rules", "tables", "traces", "turns", "by", "n", "fraction")},
    "include_metadata": "--no-metadata",
    "max_shard_bytes": "--max-shard-size",
    "max_record_bytes": "--max-record-size",
}
"""The options that the command line does not spell as Python does, but for hyphens."""


class FormatNotImplementedError(ExportError):
    """The target has no record of this format."""

    exit_status = 2

    def __init__(self, format_name: str, target: str, offered: Sequence[str]) -> None:
        super().__init__(
            f"format {format_name} is not implemented for target {target}; it offers: {', '.join(offered)}"
        )
        self.format_name = format_name
        self.target = target
        self.offered = tuple(offered)


class NothingToExportError(ExportError):
    """No trace is left to write.

    `threshold` is the quality threshold, None where there is none; `traces_read` is the number of traces that were
    read, and `dropped` says how many of them were dropped for which reason. `more_hints` say what to try, by the reason
    for which traces were dropped.
    """

    exit_status = 3

    def __init__(
        self,
        threshold: float | None,
        traces_read: int,
        dropped: Mapping[str, int],
        more_hints: Mapping[str, str] | None = None,
    ) -> None:
        hints = _HINTS | dict(more_hints or {})
        reasons = "".join(f", {count} {reason}" for reason, count in dropped.items() if count)
        hint = "".join(f"; {hint}" for reason, hint in hints.items() if dropped.get(reason))
        limit = "without a quality threshold" if threshold is None else f"at quality threshold {threshold}"
        super().__init__(f"nothing to export {limit}: {traces_read} traces read{reasons}{hint}")
        self.threshold = threshold
        self.traces_read = traces_read
        self.dropped = dict(dropped)


_HINTS = {
    "single_run": "a pair needs two qualifying runs of one case",
    "unlabelled": "--label-threshold makes labels of scores",
}
"""What to try, by the reason for which traces were dropped."""


class InputError(ExportError):
    """The input cannot be used."""

    exit_status = 4


class SourceError(InputError):
    """A whole source cannot be used: it is missing, unreadable, empty, damaged or holds something else."""

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(f"{source}: {problem}")
        self.source = source
        self.problem = problem


class BadRecordError(InputError):
    """One record is not what it should be.

    `line` counts from 1 and is None where the record is not a line of its own; `json_path` then starts at the document
    and names the case result by its index.
    """

    def __init__(self, file: str, line: int | None, json_path: str, expected: str, found: str) -> None:
        where = file if line is None else f"{file}:{line}"
        super().__init__(f"{where}: {json_path}: expected {expected}, found {found}")
        self.file = file
        self.line = line
        self.json_path = json_path
        self.expected = expected
        self.found = found


class MissingPromptError(InputError):
    """Traces would be exported without a user's message.

    `cases` are the first few of the `count` cases concerned, each its eval set (None on lines that name none) and id.
    """

    def __init__(self, count: int, cases: Sequence[tuple[str | None, str]]) -> None:
        shown = ", ".join(case if eval_set is None else f"{eval_set}/{case}" for eval_set, case in cases)
        more = ", …" if count > len(cases) else ""
        super().__init__(
            f"{count} cases have no user message in the eval sets: {shown}{more}; "
            "pass the eval sets that hold them (--prompts), or --missing-prompt skip or keep"
        )
        self.count = count
        self.cases = tuple(cases)


class SerializationError(ExportError):
    """A trace given as Python objects has no JSON form (NaN, a lone surrogate, an object of another type)."""

    exit_status = 4

    def __init__(self, index: int, problem: str) -> None:
        super().__init__(f"trace {index}: {problem}")
        self.index = index
        self.problem = problem


class OutputError(ExportError):
    """The output could not be written."""

    exit_status = 5

    def __init__(self, output: str, problem: str) -> None:
        super().__init__(f"{output}: {problem}")
        self.output = output
        self.problem = problem


class WorkerError(ExportError):
    """A process that did part of the work was ended from outside; nothing has been published.

    `status` is what it ended with, negative for a signal; None if it could not be started.
    """

    exit_status = 5

    def __init__(self, status: int | None, problem: str = "") -> None:
        self.status = status
        if status is None:
            super().__init__(f"a worker process could not be started: {problem}; try fewer --workers")
            return
        how = f"killed by signal {-status}" if status < 0 else f"ended with status {status}"
        hint = "; was memory short? try fewer --workers" if status == -_SIGKILL else ""
        super().__init__(f"a worker process was {how}; the previous output is unchanged{hint}")
