"""Ask the dialects whether a source is theirs: all of them, or the one that the user names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from polars_export.errors import BadRecordError, SourceError
from polars_export.inputs.dialect import AmbiguousError
from polars_export.inputs.first_keys import FirstKeys
from polars_export.inputs.no_traces import OtherContainerError
from polars_export.inputs.registry import dialects
from polars_export.inputs.unsupported import describe_unsupported
from polars_export.json_values import parse
from polars_export.sources.json_document import ArrayLayout, peek_elements
from polars_export.sources.json_scan import JsonScan
from polars_export.sources.table_rows import TableRows, first_row, is_table
from polars_export.sources.zip_members import is_archive, member_names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from polars_export.inputs.dialect import Dialect, Match
    from polars_export.inputs.read_options import ReadOptions
    from polars_export.json_values import Json
    from polars_export.sources.window import Window

__all__ = ["Recognisers"]

_ANY = "eval results or rows with a list of messages (see --input and --map)"
_MOST_ROWS = 100  # in which a mapping must find something


class Recognisers:
    """The dialects that are asked.

    Attributes:
        mapping: Which field of a row is what, as the user says it; None if that is recognised.
        first: The first of them.
        markers: Texts one of which every record of theirs that is a line holds.
        expected: What they expect, for messages.
    """

    def __init__(self, options: ReadOptions) -> None:
        known = dialects()
        self._dialects: Sequence[Dialect] = [known[options.input]] if options.input else list(known.values())
        self.mapping = options.mapping
        self.first = self._dialects[0]
        self.markers = tuple(marker for dialect in self._dialects for marker in dialect.markers)
        self.expected = self.first.expected if options.input else _ANY

    def keys(self, keys: AbstractSet[str]) -> Match | None:
        """Ask by the first keys of the first object."""
        return next((match for dialect in self._dialects if (match := dialect.matches_keys(keys))), None)

    def record(self, value: Json, source: str) -> Match | None:
        """Ask by a whole record.

        Raises:
            SourceError: It may be read in several ways, or a mapping finds nothing in it.
        """
        try:
            if self.mapping:
                return self._mapped([value])
            return next((match for dialect in self._dialects if (match := dialect.matches_record(value))), None)
        except AmbiguousError as error:
            raise SourceError(source, str(error)) from None

    def may_be_record(self, line: bytes) -> bool:
        """Return whether a line holds what every record of some dialect does: parsing all lines would take too long."""
        return bool(self.mapping) or any(marker in line for marker in self.markers)

    def own_keys(self, keys: AbstractSet[str]) -> bool:
        """Return whether broken JSON with these keys is a damaged source of one of them."""
        return any(dialect.has_own_keys(keys) for dialect in self._dialects)

    def describe_other(self, keys: AbstractSet[str]) -> str | None:
        """Say what an object without traces is that belongs to one of them."""
        described = (other for dialect in self._dialects if (other := dialect.describe_other(keys)))
        return next(described, None) or describe_unsupported(keys)

    def accompanies(self, window: Window) -> bool:
        """Return whether a source, which was found in a search, belongs to another one."""
        keys = FirstKeys(window)
        return any(dialect.accompanies(window.source, keys) for dialect in self._dialects)

    def container(self, window: Window) -> Match | None:
        """Ask by the rows of a table or the members of an archive, if the source is one.

        Raises:
            SourceError: It is damaged, or nobody's.
        """
        source, beginning = window.source, bytes(window.view(min(len(window), 8)))
        if (is_table(beginning) or is_archive(beginning)) and not window.stream.is_plain_file:
            problem = "a table or an archive is read from a file of its own, neither piped nor compressed"
            raise SourceError(source, problem)
        if is_table(beginning):
            row = first_row(source)
            try:
                match = self._mapped([row]) if self.mapping else self._first_table(row)
            except AmbiguousError as error:
                raise SourceError(source, str(error)) from None
            if match is None:
                named = ", ".join(row) or "no columns"
                raise OtherContainerError(source, f"expected a column with lists of messages, found {named}")
            return replace(match, layout=TableRows(dialects()[match.input].columns(match)))
        if is_archive(beginning):
            names = member_names(source)
            match = next((match for dialect in self._dialects if (match := dialect.matches_members(names))), None)
            if match is None:
                raise OtherContainerError(source, f"expected {self.expected}, found an archive of other files")
            return match
        return None

    def _first_table(self, row: Json) -> Match | None:
        return next((match for dialect in self._dialects if (match := dialect.matches_columns(row))), None)

    def array(self, window: Window, start: int) -> Match | None:
        """Ask by the first elements of the array at an offset."""
        layout = ArrayLayout(())
        rows = self._peek(window, start, layout)
        if not rows:
            return None
        match = self.mapped(rows, window.source) if self.mapping else self.record(rows[0], window.source)
        return replace(match, layout=layout) if match and match.layout is None else None

    def mapped_text(self, window: Window, start: int) -> Match:
        """Ask by the rows of lines or of a document, as the user maps them.

        Raises:
            SourceError: The mapping finds nothing.
        """
        mapping = self.mapping
        if mapping and mapping.each is not None:
            layout = ArrayLayout(mapping.each)
            try:
                rows = self._peek(window, start, layout)
            except BadRecordError as error:
                problem = f"{error.json_path}: expected {error.expected}, as --map each says; found {error.found}"
                raise SourceError(window.source, problem) from None
            match = self.mapped(rows, window.source)
            return replace(match, layout=layout)
        return self.mapped(_lines(window, start), window.source)

    def mapped(self, rows: Sequence[Json], source: str) -> Match:
        """Return how rows are read that are mapped by the user.

        Raises:
            SourceError: The mapping finds nothing in them, or the named input takes none.
        """
        try:
            match = self._mapped(rows)
        except AmbiguousError as error:
            raise SourceError(source, str(error)) from None
        if match is None:
            raise SourceError(source, f"--map is not for --input {self.first.name}")
        return match

    def _mapped(self, rows: Sequence[Json]) -> Match | None:
        assert self.mapping is not None  # noqa: S101 - asked by the callers
        asked = (dialect.matches_mapping(self.mapping, rows) for dialect in self._dialects)
        return next((match for match in asked if match), None)

    def _peek(self, window: Window, start: int, layout: ArrayLayout) -> list[Json]:
        rows = []
        for element in peek_elements(window, start, layout, _MOST_ROWS if self.mapping else 1):
            try:
                rows.append(parse(element))
            except ValueError:
                break
        return rows


def _lines(window: Window, start: int) -> list[Json]:
    """Return the values of the first lines that a window holds; the first is read to its end."""
    end = JsonScan(window).end_of_value(start)
    held = bytes(window.view(len(window)))[start:]
    first, rest = held[: end - start], held[end - start :]
    rows = []
    for line in [first, *rest.split(b"\n")[: _MOST_ROWS - 1]]:
        try:
            rows.append(parse(line))
        except ValueError:
            continue
    return rows
