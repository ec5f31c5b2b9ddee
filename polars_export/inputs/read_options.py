"""How sources are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from polars_export.sources.window import MAX_RECORD_BYTES

if TYPE_CHECKING:
    from polars_export.mapping import RowMapping

__all__ = ["DEFAULT", "ReadOptions"]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What is still read, and as what.

    Attributes:
        max_record_bytes: How large a record may be. Of a larger one only the beginning is kept; decoding rejects it.
        tolerant: Whether a source that begins with something else is read as lines where a later line is a trace.
        input: The dialect of all sources; None to recognise that of each.
        mapping: Which field of a row is what; None where that is recognised too.
    """

    max_record_bytes: int = MAX_RECORD_BYTES
    tolerant: bool = False
    input: str | None = None
    mapping: RowMapping | None = None


DEFAULT = ReadOptions()
