"""Message rows: rows of lines, arrays, documents and tables, each with a list of messages, as most sets are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from polars_export.inputs.dialect import Dialect, Match
from polars_export.inputs.message_rows.decoder import RowDecoder
from polars_export.inputs.message_rows.recognise import USUAL_FIELDS, messages_fields, resolve
from polars_export.inputs.message_rows.rows import RowFields
from polars_export.mapping import RowMapping
from polars_export.tables.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from polars_export.json_values import Json

__all__ = ["DIALECT"]


class MessageRows(Dialect):
    """Rows with a list of messages."""

    name = "message-rows"
    expected = "a row with one list of messages (objects with `role` or `from`)"
    markers = (b'"role"', b'"from"')
    is_general = True

    def matches_record(self, record: Json, /) -> Match | None:
        """Return whether a row has one list of messages.

        Raises:
            AmbiguousError: It has several.
        """
        fields = messages_fields(record)
        return Match(self.name, settings=RowMapping(messages=fields)) if fields else None

    def matches_columns(self, row: Json, /) -> Match | None:
        """Return whether a table has one column of lists of messages.

        Raises:
            AmbiguousError: It has several.
        """
        return self.matches_record(row)

    def matches_mapping(self, mapping: RowMapping, rows: Sequence[Json], /) -> Match | None:
        """Return how rows are read that are mapped by the user.

        Raises:
            AmbiguousError: The mapping finds nothing in the rows, or the messages are not found.
        """
        return Match(self.name, settings=resolve(mapping, rows))

    def columns(self, match: Match, /) -> tuple[str, ...] | None:
        """Return the columns of a table that the mapping names."""
        mapping = cast("RowMapping", match.settings)
        return None if mapping.python or mapping.all_extra else RowFields(mapping, Projection.FULL).names()

    def has_own_keys(self, keys: AbstractSet[str], /) -> bool:
        """Return whether broken JSON with these keys is a damaged row."""
        return bool(keys & USUAL_FIELDS)

    def describe_other(self, keys: AbstractSet[str], /) -> str | None:
        """Say what is wrong with rows that are none."""
        if "metadata" not in keys and (names := sorted(keys & USUAL_FIELDS)):
            field = names[0]
            return (
                f"expected rows with a list of messages in `{field}`; found none in the first "
                f"(say where they stand: --map messages=FIELD)"
            )
        return None

    def decoder(self, match: Match, projection: Projection, /, *, sort_arguments: bool) -> RowDecoder:
        """Return what decodes the rows of a source."""
        return RowDecoder(cast("RowMapping", match.settings), projection, sort_arguments=sort_arguments)


DIALECT = MessageRows()
