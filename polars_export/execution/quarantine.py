"""Records that cannot be used: they stop an export, or are skipped and written to a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Protocol

from polars_export.errors import BadRecordError
from polars_export.sources.segments import lines_before
from polars_export.writers.rejects import Reject

if TYPE_CHECKING:
    from polars_export.errors import InputError
    from polars_export.inputs.decoding import Decoded, Rejected
    from polars_export.sources.segments import Segment
    from polars_export.writers.rejects import PartRejects

__all__ = ["Quarantine", "RaiseFirst", "Rejects", "raise_first"]


class Rejects(Protocol):
    """What becomes of that which cannot be used; `segment` is where it is from, None where that is no file."""

    segment: Segment | None

    def records(self, *decoded: Decoded) -> int:
        """Take what was rejected as one chunk was decoded, perhaps several times; return how many records that is."""
        ...

    def rest(self, error: InputError) -> int:
        """Take what cannot be read of the segment; return as how many traces it counts."""
        ...


def raise_first(*decoded: Decoded) -> None:
    """Check that nothing was rejected as one chunk was decoded, perhaps several times.

    Raises:
        BadRecordError: The first record that was.
    """
    if rejected := _in_order(*decoded):
        raise rejected[0].error


class RaiseFirst:
    """Raises."""

    def __init__(self) -> None:
        self.segment: Segment | None = None

    def records(self, *decoded: Decoded) -> int:
        """Raise the error of the first record that was rejected."""
        try:
            raise_first(*decoded)
        except BadRecordError as error:
            self.rest(error)
        return 0

    def rest(self, error: InputError) -> NoReturn:
        """Raise the error with the line in its file: a segment does not know those before it."""
        if isinstance(error, BadRecordError) and error.line is not None and self.segment and self.segment.start:
            line = error.line + lines_before(self.segment)
            raise BadRecordError(error.file, line, error.json_path, error.expected, error.found) from None
        raise error


class Quarantine:
    """Writes them to the file of a part."""

    def __init__(self, file: PartRejects) -> None:
        self.segment: Segment | None = None
        self._file = file

    def records(self, *decoded: Decoded) -> int:
        """Set records aside, in their order."""
        are_lines = decoded[0].chunk.array_path is None
        rejected = _in_order(*decoded)
        for record in rejected:
            self._write(_reject_of(record, are_lines=are_lines))
        return len(rejected)

    def rest(self, error: InputError) -> int:
        """Set the rest of a source aside as one trace."""
        reject = Reject(source=_text(self.segment.path if self.segment else ""), error=_text(str(error)))
        if isinstance(error, BadRecordError):
            reject.line, reject.json_path = error.line, _text(error.json_path)
            reject.expected, reject.found = _text(error.expected), _text(error.found)
        self._write(reject)
        return 1

    def _write(self, reject: Reject) -> None:
        self._file.write(self.segment.number if self.segment else 0, reject)


def _in_order(*decoded: Decoded) -> list[Rejected]:
    return sorted(
        (rejected for reading in decoded for rejected in reading.rejected), key=lambda rejected: rejected.position
    )


def _reject_of(rejected: Rejected, *, are_lines: bool) -> Reject:
    error = rejected.error
    return Reject(
        source=_text(error.file),
        line=rejected.position if are_lines else None,
        index=None if are_lines else rejected.position,
        json_path=_text(error.json_path),
        expected=_text(error.expected),
        found=_text(error.found),
        error=_text(str(error)),
        bytes=rejected.size,
        raw=rejected.raw.decode("utf-8", "backslashreplace"),
    )


def _text(value: str) -> str:
    """Return a text without what JSON cannot hold: the bytes of a file's name that are not UTF-8."""
    return value.encode("utf-8", "backslashreplace").decode()
