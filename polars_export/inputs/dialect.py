"""What a module of this package offers: recognise a dialect by its content, and decode its records to columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable
    from collections.abc import Set as AbstractSet

    from polars_export.inputs.decoding import Decoder
    from polars_export.json_values import Json
    from polars_export.sources.json_document import ArrayLayout
    from polars_export.tables.projection import Projection

__all__ = ["AmbiguousError", "Dialect", "Match"]


@dataclass(frozen=True, slots=True)
class Match:
    """What a source was recognised as.

    Attributes:
        input: The name of the dialect.
        layout: Where the records of a document are; None where each record is a line.
        settings: What the dialect has to know of this source to decode it.
    """

    input: str
    layout: ArrayLayout | None = None
    settings: Hashable = None


class AmbiguousError(Exception):
    """A source is of a dialect, but may be read in several ways; the text says which, and how to name one."""


class Dialect(Protocol):
    """The surface of a dialect's module."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a constant of the module
        """Its name, as in `traces.input`."""
        ...

    @property
    def EXPECTED(self) -> str:  # noqa: N802 - as above
        """What one of its sources begins with, for messages."""
        ...

    @property
    def MARKERS(self) -> tuple[bytes, ...]:  # noqa: N802 - as above
        """Texts of which every record of the dialect that is a line holds one."""
        ...

    def matches_keys(self, keys: AbstractSet[str], /) -> Match | None:
        """Recognise a source by the first keys of its first object.

        It is asked anew with each key that is read, so that a document of gigabytes is recognised by its beginning.
        """
        ...

    def matches_record(self, record: Json, /) -> Match | None:
        """Recognise a source by a whole line: where the keys do not decide, and behind a first line that is no record.

        Raises:
            AmbiguousError: It is of the dialect, but may be read in several ways.
        """
        ...

    def has_own_keys(self, keys: AbstractSet[str], /) -> bool:
        """Tell damaged sources of the dialect, of which only these keys can be read, from broken JSON of others."""
        ...

    def describe_other(self, keys: AbstractSet[str], /) -> str | None:
        """Say what an object is that belongs to the dialect but holds no traces, and what to do; None if it is none."""
        ...

    def decoder(self, match: Match, projection: Projection, /, *, sort_arguments: bool) -> Decoder:
        """Return what decodes the records of a source at a projection.

        With `sort_arguments` the keys of tool-call arguments are sorted by their UTF-8 bytes at every depth, instead of
        standing in the order of the source.
        """
        ...
