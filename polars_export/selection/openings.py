"""The opening messages of traces, and which split a case goes to by them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import polars as pl

from polars_export.selection.case_key import case_hash, with_case_key
from polars_export.selection.rule import CASE, CASE_KEY

if TYPE_CHECKING:
    from polars_export.tables.tables import Tables

__all__ = ["OPENINGS", "case_openings", "cases_in_test", "opening_messages", "share_of_case"]

_HIGH, _LOW = CASE_KEY

OPENINGS = pl.Schema({_HIGH: pl.UInt64, _LOW: pl.UInt64, "opening": pl.String, "share": pl.Float64})
"""One row per case and opening of its runs: the text of the opening messages, null without a user's message, and the
share of the case itself; see `share_of_case`."""


def opening_messages(tables: Tables) -> pl.Series:
    """Return for each trace its messages before the first turn as one text, null where no user's is among them.

    Of a trace without turns these are all of its messages. A message is JSON with its role and content; commas stand
    between.
    """
    lengths, rows = tables.traces["turns"].cast(pl.Int64), pl.int_range(len(tables), eager=True)
    starts = lengths.cum_sum() - lengths
    places = starts.zip_with(lengths > 0, rows + tables.turns.height)
    lists = pl.concat([tables.turns["preceding"], tables.traces["closing"]]).gather(places)
    messages = pl.DataFrame({"row": rows, "message": lists}).filter(pl.col("message").list.len() > 0)
    texts = (
        messages.explode("message")
        .unnest("message")
        .group_by("row", maintain_order=True)
        .agg(
            opening=pl.struct("role", "content").struct.json_encode().str.join(","),
            is_asked=(pl.col("role") == "user").any(),
        )
        .filter("is_asked")
    )
    return rows.to_frame("row").join(texts, on="row", how="left", maintain_order="left")["opening"]


def case_openings(tables: Tables, seed: int) -> pl.DataFrame:
    """Return the openings of the cases of traces, each once; see `OPENINGS`."""
    keyed = with_case_key(tables.traces.select(CASE)).with_columns(opening_messages(tables).alias("opening"))
    distinct = keyed.unique([*CASE_KEY, "opening"], maintain_order=True)
    shares = [share_of_case(case, seed) for case in distinct.select(CASE).iter_rows()]
    return distinct.with_columns(share=pl.Series(shares, dtype=pl.Float64)).select(OPENINGS.names())


def cases_in_test(openings: pl.DataFrame, test_fraction: float, seed: int) -> pl.DataFrame:
    """Return one row per case: `CASE_KEY`, and `in_test`, whether it belongs to the test split.

    A case goes where the smallest of its openings goes, by its bytes: so cases with one prompt are on one side. A case
    without any goes by itself.
    """
    smallest = openings.group_by(CASE_KEY, maintain_order=True).agg(pl.col("opening").min(), pl.col("share").first())
    distinct = smallest["opening"].drop_nulls().unique().to_list()
    shares = {opening: _share_of_opening(opening, seed) for opening in distinct}
    by_opening = smallest["opening"].replace_strict(shares, return_dtype=pl.Float64, default=None)
    return smallest.select(*CASE_KEY, in_test=by_opening.fill_null(smallest["share"]) < test_fraction)


def share_of_case(case: tuple[str | None, str], seed: int) -> float:
    """Return a number from 0 up to 1 that is spread evenly over the cases."""
    return int.from_bytes(case_hash(case, 7, seed)) / 2**56


def _share_of_opening(opening: str, seed: int) -> float:
    return int.from_bytes(hashlib.blake2b(f"{seed}\0{opening}".encode(), digest_size=7).digest()) / 2**56
