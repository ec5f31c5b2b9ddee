"""What a dialect is: it recognises its sources by their content, and decodes their records to columns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from collections.abc import Set as AbstractSet

    from polars_export.inputs.decoding import Decoder
    from polars_export.json_values import Json
    from polars_export.mapping import RowMapping
    from polars_export.sources.layout import Layout
    from polars_export.tables.projection import Projection

__all__ = ["AmbiguousError", "Dialect", "Match"]


@dataclass(frozen=True, slots=True)
class Match:
    """What a source was recognised as.

    Attributes:
        input: The name of the dialect.
        layout: Where the records are; None where each is a line.
        settings: What the dialect has to know of this source to decode it.
    """

    input: str
    layout: Layout | None = None
    settings: Hashable = None


class AmbiguousError(Exception):
    """A source is of a dialect, but may be read in several ways; the text says which, and how to name one."""


class Dialect(ABC):
    """A kind of input; each package of this folder has one, as `DIALECT`."""

    name: ClassVar[str]
    """Its name, as in `traces.input` and for `--input`."""

    expected: ClassVar[str]
    """What one of its sources begins with, for messages."""

    markers: ClassVar[tuple[bytes, ...]] = ()
    """Texts of which every record of the dialect that is a line holds one."""

    is_general: ClassVar[bool] = False
    """Whether sources of other dialects may look like its own."""

    def matches_keys(self, _keys: AbstractSet[str], /) -> Match | None:
        """Recognise a source by the first keys of its first object, which may be a line or a document.

        It is asked anew with each key that is read, so that a document of gigabytes is recognised by its beginning.
        """
        return None

    def matches_record(self, record: Json, /) -> Match | None:
        """Recognise a whole line or element of an array: where the keys do not decide, or a first line is no record.

        Raises:
            AmbiguousError: It is of the dialect, but may be read in several ways.
        """
        match = self.matches_keys(record.keys()) if isinstance(record, dict) else None
        return match if match and match.layout is None else None

    def matches_members(self, _names: AbstractSet[str], /) -> Match | None:
        """Recognise a zip archive by the names of its members."""
        return None

    def matches_columns(self, _row: Json, /) -> Match | None:
        """Recognise a table by its first row.

        Raises:
            AmbiguousError: It is of the dialect, but may be read in several ways.
        """
        return None

    def matches_mapping(self, _mapping: RowMapping, _rows: Sequence[Json], /) -> Match | None:
        """Return how rows are read that are mapped by the user; None if the dialect takes no mapping.

        Args:
            _mapping: Says which field is what.
            _rows: The first rows of the source.

        Raises:
            AmbiguousError: The mapping finds nothing in them.
        """
        return None

    def columns(self, _match: Match, /) -> tuple[str, ...] | None:
        """Return the columns of a table that are read; None for all."""
        return None

    def has_own_keys(self, _keys: AbstractSet[str], /) -> bool:
        """Tell damaged sources of the dialect, of which only these keys can be read, from broken JSON of others."""
        return False

    def describe_other(self, _keys: AbstractSet[str], /) -> str | None:
        """Say what an object is that belongs to the dialect but holds no traces, and what to do; None if it is none."""
        return None

    def accompanies(self, _path: str, _keys: AbstractSet[str], /) -> bool:
        """Return whether a file that a search found belongs to a source of the dialect: then it is passed over.

        It is asked before anybody recognises the file, so look at the path first: the keys of the file's first object
        are looked for when they are asked for, and only in what is held of it, a few megabytes.
        """
        return False

    def continued_by(self, _path: str, /) -> str | None:
        """Return the path of the source that reads a file as its continuation, by the names alone; None without one.

        Where both are named as sources the file counts as found in a search: `accompanies` decides.
        """
        return None

    @abstractmethod
    def decoder(self, match: Match, projection: Projection, /, *, sort_arguments: bool) -> Decoder:
        """Return what decodes the records of a source at a projection.

        With `sort_arguments` the keys of tool-call arguments are sorted by their UTF-8 bytes at every depth, instead of
        standing in the order of the source.
        """
