"""Nested Arrow arrays from flat columns: Polars makes the columns, Arrow nests them by offsets without copying.

Building lists from offsets is several times cheaper than `group_by().agg(...)`. Strings are string views, as Polars
holds them; writers cast to the types that they publish.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["arrow", "first_of_each", "last_of_each", "lists", "parent_rows", "strings", "structs"]

_NEWEST = pl.CompatLevel.newest()  # string views: the only way out of Polars without a copy


def arrow(series: pl.Series) -> pa.Array:
    """Hand a column to Arrow as it is."""
    return series.to_arrow(compat_level=_NEWEST)


def strings(values: Sequence[str | None]) -> pl.Series:
    """Make a column of strings; `strict=False` skips a check of every value that decoding has made already."""
    return pl.Series(values, dtype=pl.String, strict=False)


def structs(fields: Mapping[str, pa.Array]) -> pa.StructArray:
    """Make a column of structs, none of them null, from columns of one length."""
    return pa.StructArray.from_arrays(list(fields.values()), names=list(fields))


def lists(lengths: pl.Series, values: pa.Array, *, empty_is_null: bool = False) -> pa.ListArray:
    """Make a column of lists: row i takes the next `lengths[i]` of the values."""
    mask = arrow(lengths == 0) if empty_is_null else None
    return pa.ListArray.from_arrays(arrow(_offsets(lengths)), values, mask=mask)


def parent_rows(lengths: pl.Series) -> pl.Series:
    """Return for every value of such lists the row that it belongs to: lengths 2, 0, 1 give 0, 0, 2."""
    offsets = _offsets(lengths)
    values = pa.nulls(offsets[-1])
    return pl.Series(pc.list_parent_indices(pa.ListArray.from_arrays(arrow(offsets), values)))


def first_of_each(owner: pl.Series, holds: pl.Series, count: int) -> pl.Series:
    """Return for each of `count` owners the first place of those for which something holds, null if it never does.

    Args:
        owner: For each place its owner, in ascending order.
        holds: For each place whether it holds.
        count: How many owners there are.
    """
    return _end_of_each(owner, holds, count, 1)


def last_of_each(owner: pl.Series, holds: pl.Series, count: int) -> pl.Series:
    """Return for each owner the last place of those for which something holds; see `first_of_each`."""
    return _end_of_each(owner, holds, count, -1)


def _end_of_each(owner: pl.Series, holds: pl.Series, count: int, step: int) -> pl.Series:
    places = holds.arg_true().cast(pl.Int64)
    owners = owner.gather(places)
    is_end = (owners != owners.shift(step)).fill_null(value=True)
    ends = pl.repeat(None, count, dtype=pl.Int64, eager=True)
    return ends.scatter(owners.filter(is_end), places.filter(is_end))


def _offsets(lengths: pl.Series) -> pl.Series:
    start = pl.Series([0], dtype=pl.Int32)
    return start.append(lengths.cast(pl.Int32).cum_sum()).rechunk()
