"""The decoders of one reading: one for each kind of source that it meets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from polars_export.inputs.registry import dialects
from polars_export.tables.columns import Columns
from polars_export.tables.projection import Projection

if TYPE_CHECKING:
    from polars_export.inputs.decoding import Decoded, Decoder
    from polars_export.inputs.dialect import Match
    from polars_export.sources.chunk import Chunk
    from polars_export.tables.columns import Values

__all__ = ["Decoders"]


class Decoders:
    """Decodes chunks of any source at one projection; at the full one it adds where each trace stood.

    Args:
        projection: Which columns are wanted.
        sort_arguments: Whether the keys of tool-call arguments are sorted; see `Dialect.decoder`.
    """

    def __init__(self, projection: Projection, *, sort_arguments: bool = False) -> None:
        self.projection = projection
        self._sort_arguments = sort_arguments
        self._decoders: dict[Match, Decoder] = {}

    def of(self, match: Match) -> Decoder:
        """Return the decoder of sources that were recognised as this."""
        if match not in self._decoders:
            dialect = dialects()[match.input]
            decoder = dialect.decoder(match, self.projection, sort_arguments=self._sort_arguments)
            is_full = self.projection is Projection.FULL
            self._decoders[match] = _LocatingDecoder(decoder, match.input) if is_full else decoder
        return self._decoders[match]


class _LocatingDecoder:
    """Adds the columns `input`, `source` and `position`."""

    def __init__(self, decoder: Decoder, input_name: str) -> None:
        self._decoder = decoder
        self._input = input_name

    def decode(self, chunk: Chunk, /) -> Decoded:
        """Decode the records of a chunk; set aside what is no trace."""
        decoded = self._decoder.decode(chunk)
        size = len(decoded)
        located: Values = {
            "input": [self._input] * size,
            "source": [_printable(chunk.source)] * size,
            "position": list(decoded.chunk.positions),
        }
        return replace(decoded, columns=Columns(decoded.columns.traces | located, decoded.columns.turns))


def _printable(name: str) -> str:
    """Return a file's name with bytes that are not UTF-8, which a column cannot hold, as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()
