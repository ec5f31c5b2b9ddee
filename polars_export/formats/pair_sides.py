"""The two sides of preference pairs, which stand one behind the other: chosen, rejected, chosen, rejected."""

from __future__ import annotations

import polars as pl

__all__ = ["different", "either_side", "for_both_sides"]


def either_side(holds: pl.Series) -> pl.Series:
    """Return for each pair whether something holds for one of its sides or both."""
    return holds.gather_every(2) | holds.gather_every(2, offset=1)


def for_both_sides(pairs: pl.Series) -> pl.Series:
    """Return for each trace what there is for its pair."""
    return pairs.gather(pl.int_range(2 * len(pairs), eager=True) // 2)


def different(sides: pl.Series) -> pl.Series:
    """Return for each pair whether its sides, lists or structs, are different."""
    texts = sides.to_frame("side").select(pl.struct("side").struct.json_encode()).to_series()
    return texts.gather_every(2) != texts.gather_every(2, offset=1)
