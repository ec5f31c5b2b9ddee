"""What decoders have in common: columns of good records, and what is wrong with the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from polars_export.errors import BadRecordError
from polars_export.sources.chunk import RAW_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from polars_export.json_values import Mismatch
    from polars_export.sources.chunk import Chunk
    from polars_export.tables.columns import Columns

__all__ = [
    "Decoded",
    "Decoder",
    "Rejected",
    "bad_record",
    "decode_each",
    "decode_with_headroom",
    "from_deeper",
    "reject_oversized",
]

_T = TypeVar("_T")

# Up to Python 3.11 the calls under way take from how deep a value may be nested.
_ELSEWHERE = 50  # calls, more than lie between any two places from which chunks are decoded


class Rejected(NamedTuple):
    """A record that is not valid JSON, not a trace or too large.

    Attributes:
        position: Its position, as in the chunk.
        error: What is wrong with it.
        raw: The beginning of its bytes.
        size: How many bytes it takes.
    """

    position: int
    error: BadRecordError
    raw: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """The traces of one chunk in order.

    Attributes:
        chunk: The records that are traces; one that holds several stands there once for each of them, with its part.
        columns: Their columns at the projection of the decoder.
        rejected: The records that are none.
    """

    chunk: Chunk
    columns: Columns
    rejected: Sequence[Rejected] = ()

    def __len__(self) -> int:
        return len(self.chunk.spans)


class Decoder(Protocol):
    """Decodes the chunks of one source, or of several that are read alike."""

    def decode(self, chunk: Chunk, /) -> Decoded:
        """Decode the records of a chunk; set aside what is no trace."""
        ...


def decode_with_headroom(decoder: Decoder, chunk: Chunk) -> Decoded:
    """Decode so that what is a trace by this is one wherever it is read again, however deep its values are nested."""
    return from_deeper(_ELSEWHERE, lambda: decoder.decode(chunk))


def from_deeper(calls: int, function: Callable[[], _T]) -> _T:
    """Call a function from some calls deeper, where less may be nested: so another way need not be more strict."""
    return from_deeper(calls - 1, function) if calls else function()


def decode_each(chunk: Chunk, decode: Callable[[Chunk, int], _T]) -> tuple[Chunk, list[_T], list[Rejected]]:
    """Decode the records of a chunk one by one.

    Args:
        chunk: The records.
        decode: Returns what the record of an index decodes to, or raises a BadRecordError.

    Returns:
        The records that are traces, what they decode to, and those that are none.
    """
    rejected: list[Rejected] = []
    decoded: list[_T] = []
    kept: list[int] = []
    for index in range(len(chunk.spans)):
        try:
            decoded.append(decode(chunk, index))
            kept.append(index)
        except BadRecordError as error:
            error.__traceback__ = error.__context__ = None  # they would hold all traces of the chunk
            rejected.append(_rejected(chunk, index, error))
    return chunk.take(kept) if rejected else chunk, decoded, rejected


def reject_oversized(chunk: Chunk) -> tuple[Chunk, list[Rejected]]:
    """Return a chunk without the record that it holds only the beginning of, and that record; none if it holds all."""
    if not chunk.oversized or not chunk.spans:
        return chunk, []
    limit, size = chunk.oversized
    where = (chunk.source, chunk.line(0), chunk.json_path(0))
    error = BadRecordError(*where, f"a record of at most {limit:,} bytes", f"one of {size:,} bytes")
    return chunk.take([]), [_rejected(chunk, 0, error)]


def bad_record(chunk: Chunk, index: int, mismatch: Mismatch) -> BadRecordError:
    """Return the error of a record that is not what it should be."""
    return BadRecordError(chunk.source, chunk.line(index), *mismatch)


def _rejected(chunk: Chunk, index: int, error: BadRecordError) -> Rejected:
    start, end = chunk.spans[index]
    size = chunk.oversized.size if chunk.oversized else end - start
    return Rejected(chunk.positions[index], error, bytes(chunk.data[start : min(end, start + RAW_BYTES)]), size)
