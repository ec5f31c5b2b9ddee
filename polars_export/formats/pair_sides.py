"""Compare the two sides of preference pairs, which stand one behind the other: chosen, rejected, chosen, rejected."""

from __future__ import annotations

import polars as pl

__all__ = ["both_sides", "different"]


def both_sides(holds: pl.Series) -> pl.Series:
    """Return for each pair whether something holds for both of its sides."""
    return holds.gather_every(2) & holds.gather_every(2, offset=1)


def different(sides: pl.Series) -> pl.Series:
    """Return for each pair whether its sides, lists or structs, are different."""
    texts = sides.to_frame("side").select(pl.struct("side").struct.json_encode()).to_series()
    return texts.gather_every(2) != texts.gather_every(2, offset=1)
