"""The two tables as Polars frames that stay in step: dropping or reordering traces takes their turns along."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import polars as pl

from polars_export.errors import OptionError
from polars_export.tables.nested import parent_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Tables", "concat"]

_IN_STEP = ("trace", "turns")
"""The columns of `traces` by which its turns are found."""

_KEEP = "whether to keep"


@dataclass(frozen=True, slots=True)
class Tables:
    """Traces, one a row, and their turns, one a row, in the order of the traces.

    The first `traces["turns"][0]` rows of `turns` belong to the first trace, the next to the second, and so on. The
    column `trace` of both keeps the numbers that the traces were read with. Every method returns new tables in step.

    `read` makes tables of sources, and `tables` of frames of your own, which it checks.

    Attributes:
        traces: One row per trace; `TRACES` lists the columns. There may be more.
        turns: One row per turn; `TURNS` lists the columns.
    """

    traces: pl.DataFrame
    turns: pl.DataFrame

    def __len__(self) -> int:
        """Return the number of traces."""
        return self.traces.height

    def filter(self, *predicates: pl.Expr | pl.Series) -> Tables:
        """Return the traces for which all predicates are true, with their turns.

        Args:
            predicates: Expressions on the columns of `traces`, or Boolean series with one value per trace; null is not
                true.
        """
        columns = (pl.lit(given) if isinstance(given, pl.Series) else given for given in predicates)
        holds = pl.all_horizontal(pl.lit(value=True), *columns).fill_null(value=False)
        keep = self.traces.with_columns(holds.alias(_KEEP))[_KEEP]
        if keep.all():
            return self
        return Tables(self.traces.filter(keep), self.turns.filter(keep.gather(self.trace_rows())))

    def sort(
        self,
        by: str | pl.Expr | Iterable[str | pl.Expr],
        *,
        descending: bool | Sequence[bool] = False,
        nulls_last: bool | Sequence[bool] = False,
    ) -> Tables:
        """Return the traces in another order, their turns with them; equal traces keep their order.

        Args:
            by: Columns of `traces`, or expressions on them.
            descending: Whether the greatest comes first; one for all, or one each.
            nulls_last: Whether nulls come last; one for all, or one each.
        """
        keys = [by] if isinstance(by, (str, pl.Expr)) else list(by)
        if not keys:
            raise OptionError("by", "expected a column or several, found none")
        exprs = [pl.col(key) if isinstance(key, str) else key for key in keys]
        names = [f"key {place}" for place in range(len(keys))]
        values = self.traces.select(
            *(expr.alias(name) for expr, name in zip(exprs, names, strict=True)),
            row=pl.int_range(pl.len(), dtype=pl.UInt32),
        )
        ordered = values.sort(names, descending=descending, nulls_last=nulls_last, maintain_order=True)
        return self.take(ordered["row"])

    def sample(self, n: int | None = None, *, fraction: float | None = None, seed: int | None = None) -> Tables:
        """Return some of the traces, chosen at random and without repetition, in the order that they stand in.

        Args:
            n: How many.
            fraction: Which share of them, in place of a number; rounded down.
            seed: With the same seed the same traces are chosen, by any version of Polars.

        Raises:
            OptionError: Not one of `n` and `fraction` is given, or there are not so many traces.
        """
        if (n is None) == (fraction is None):
            raise OptionError("n", "expected either n or fraction")
        if fraction is not None:
            if not 0 <= fraction <= 1:
                raise OptionError("fraction", f"expected a number from 0 to 1, found {fraction!r}")
            n = int(fraction * len(self))
        if n is None or not 0 <= n <= len(self):
            raise OptionError("n", f"expected a number from 0 to {len(self)}, which is that of the traces; found {n!r}")
        rows = random.Random(seed).sample(range(len(self)), n)  # noqa: S311 - no secret
        return self.take(pl.Series(sorted(rows), dtype=pl.UInt32))

    def with_columns(
        self, *exprs: pl.Expr | pl.Series | Iterable[pl.Expr | pl.Series], **named: pl.Expr | pl.Series | str
    ) -> Tables:
        """Return tables whose `traces` has more columns, or others of the same name; see `DataFrame.with_columns`.

        Columns that are none of `TRACES` are for filters and the like: an export does not write them.

        Raises:
            OptionError: One of the columns is `trace` or `turns`, which keep the tables in step.
        """
        traces = self.traces.with_columns(*exprs, **named)
        for name in _IN_STEP:
            if not traces[name].equals(self.traces[name], check_dtypes=True):
                raise OptionError("traces", f"column {name} keeps the tables in step and cannot be changed")
        return Tables(traces, self.turns)

    @classmethod
    def concat(cls, parts: Iterable[Tables]) -> Self:
        """Return tables one behind the other; their traces are numbered anew, from 0, so that `trace` stays unique.

        Columns of a user's own that some of the tables lack are null there.

        Raises:
            OptionError: There are no tables, or a column has another type in some of them.
        """
        parts = list(parts)
        if not parts:
            raise OptionError("tables", "expected one or more, found none")
        try:
            traces = pl.concat([part.traces for part in parts], how="diagonal")
            turns = pl.concat([part.turns for part in parts], how="diagonal")
        except pl.exceptions.SchemaError as error:
            raise OptionError("tables", f"a column has two types ({str(error).splitlines()[0]})") from None
        return cls(traces, turns).numbered()

    def take(self, rows: pl.Series) -> Tables:
        """Return the traces of these rows, in that order, with their turns."""
        lengths = self.traces["turns"].cast(pl.Int64)
        starts = (lengths.cum_sum() - lengths).gather(rows)
        taken = self.traces[rows]
        turn_rows = pl.select(pl.int_ranges(starts, starts + taken["turns"])).to_series().explode().drop_nulls()
        return Tables(taken, self.turns[turn_rows])

    def trace_rows(self) -> pl.Series:
        """Return, for each row of `turns`, the row of `traces` that it belongs to."""
        return parent_rows(self.traces["turns"])

    def numbered(self, first: int = 0) -> Self:
        """Return the tables with their traces numbered anew, in order."""
        numbers = pl.int_range(first, first + len(self), dtype=pl.UInt64, eager=True).alias("trace")
        turns = self.turns
        if "trace" in turns.columns:
            turns = turns.with_columns(numbers.gather(self.trace_rows()))
        return type(self)(self.traces.with_columns(numbers), turns)


def concat(tables: Iterable[Tables]) -> Tables:
    """Return tables one behind the other; see `Tables.concat`.

    Raises:
        OptionError: There are no tables, or a column has another type in some of them.
    """
    return Tables.concat(tables)
