"""Arguments of tool calls as JSON texts."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from polars_export.tables.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polars_export.json_values import Json

__all__ = ["ArgumentEncoder"]

_ENCODE = msgspec.json.Encoder().encode_lines
_ENCODE_SORTED = msgspec.json.Encoder(order="sorted").encode_lines
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG_INTEGER = b"0" * 19
"""So many digits an integer beyond 64 bits has at least. Looking for them so is ten times as fast as by a regex."""


class ArgumentEncoder:
    """Writes arguments as compact JSON.

    Below the full projection, integers beyond 64 bits become numbers in double precision: so the reference reads them,
    and readers of datasets fail on them.

    Args:
        projection: The projection of the columns.
        sort_arguments: Whether the keys are sorted by their UTF-8 bytes at every depth, as the reference does, instead
            of standing in the order of the source. Cheap here, where the values are at hand; later it would mean
            parsing again.
    """

    def __init__(self, projection: Projection, *, sort_arguments: bool = False) -> None:
        self._keeps_integers = projection is Projection.FULL
        self._encode = _ENCODE_SORTED if sort_arguments else _ENCODE

    def encode(self, arguments: Sequence[Json]) -> list[str]:
        """Return the arguments of some calls as JSON texts; the values may be changed in place."""
        # One line per value: encoding them together and splitting is cheaper than one call and one string for each.
        encoded = self._encode(arguments)
        if not self._keeps_integers and _LONG_INTEGER in encoded.translate(_DIGITS_TO_ZERO):
            encoded = self._encode([_within_64_bits(value) for value in arguments])
        return encoded.decode().split("\n")[:-1]


def _within_64_bits(value: Json) -> Json:
    """Return a JSON value, changed in place, whose integers beyond 64 bits are floating-point numbers.

    Those beyond the largest double stay: there is no other way to write them.
    """
    held = [value]
    left: list[Json] = [held]
    while left:  # not by recursion: arguments may be nested as deep as the decoder goes
        container = left.pop()
        for key, item in container.items() if isinstance(container, dict) else enumerate(container):
            if isinstance(item, (dict, list)):
                left.append(item)
            elif isinstance(item, int) and not -(2**63) <= item < 2**64:
                with suppress(OverflowError):
                    container[key] = float(item)
    return held[0]
