"""What makes two traces runs of one case, as a few bytes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.selection.rule import CASE, CASE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["case_hash", "with_case_key"]


def case_hash(case: tuple[str | None, str], size: int, seed: int = 0) -> bytes:
    """Return bytes that are the same for the runs of a case (its eval set, None on lines that name none, and its id).

    They are spread evenly over the cases, and nobody can find two cases with the same sixteen of them.
    """
    parts = ("" if part is None else "+" + part.replace("\0", "\0\0") for part in case)
    text = "\0".join([str(seed), *parts])
    return hashlib.blake2b(text.encode(), digest_size=size).digest()


def with_case_key(traces: pl.DataFrame) -> pl.DataFrame:
    """Return traces with the columns `CASE_KEY`: the sixteen bytes of their cases as two numbers."""
    digests = b"".join(case_hash(case, 16) for case in _cases(traces))
    halves = pl.Series(pa.Array.from_buffers(pa.uint64(), 2 * traces.height, [None, pa.py_buffer(digests)]))
    high, low = CASE_KEY
    return traces.with_columns(halves.gather_every(2).alias(high), halves.gather_every(2, offset=1).alias(low))


def _cases(traces: pl.DataFrame) -> Iterable[tuple[str | None, str]]:
    return traces.select(CASE).iter_rows()
