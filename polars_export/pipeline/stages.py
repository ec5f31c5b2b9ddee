"""The stages between reading and rendering: each takes tables, passes some on and counts what it leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from polars_export.decode import TraceDecoder
from polars_export.errors import MissingPromptError
from polars_export.flatten import flatten
from polars_export.options import MissingPrompt, Target
from polars_export.report import LeftOut
from polars_export.schema import Detail
from polars_export.scoring import qualifies
from polars_export.selection import CASE, candidates, pairs
from polars_export.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polars_export.chunk import Chunk
    from polars_export.options import ExportOptions
    from polars_export.pipeline.tally import Tally
    from polars_export.prompting import Context

__all__ = ["paired", "prompted", "qualifying"]

_PAIRS_AT_ONCE = 500  # bounds the memory for rendering: two traces each
_PRUNE_AT_LEAST = 10_000  # traces; fewer are not worth the pass
_CASES_NAMED = 5


def qualifying(chunks: Iterable[Chunk], options: ExportOptions, tally: Tally) -> Iterator[Tables]:
    """Decode and flatten chunks, and yield the traces that reach the quality threshold."""
    reference = options.target is Target.REFERENCE
    decoder = TraceDecoder(Detail.RECORDS if reference else Detail.CONVERSATIONS)
    for chunk in chunks:
        tables = Tables.of(flatten(decoder.decode(chunk), tally.traces_read, sort_arguments=reference))
        kept = tables.filter(tables.traces.select(qualifies(options)).to_series())
        tally.traces_read += len(tables)
        tally.leave_out(LeftOut.BELOW_THRESHOLD, len(tables) - len(kept))
        if len(kept):
            yield kept


def prompted(tables: Iterable[Tables], context: Context, options: ExportOptions, tally: Tally) -> Iterator[Tables]:
    """Join prompts and tools to traces, and yield those that make a conversation.

    Raises:
        MissingPromptError: At the end, if traces without a user's message are an error and there were any.
    """
    missing: dict[tuple[str | None, str], None] = {}  # the cases, in order
    for some in tables:
        joined = context.join(some)
        asked = joined.traces["user_messages"].list.len() > 0
        if options.missing_prompt is MissingPrompt.ERROR:
            missing |= dict.fromkeys(joined.traces.filter(~asked).select(CASE).rows())
        if options.missing_prompt is not MissingPrompt.KEEP:
            tally.leave_out(LeftOut.MISSING_PROMPT, int((~asked).sum()))
            joined = joined.filter(asked)
        spoken = joined.traces.select(
            (pl.col("turns") > 0) | (pl.col("final_response").fill_null("") != "")
        ).to_series()
        tally.leave_out(LeftOut.NOT_REPRESENTABLE, int((~spoken).sum()))
        kept = joined.filter(spoken)
        if len(kept) and not missing:
            yield kept
    if missing:
        raise MissingPromptError(len(missing), list(missing)[:_CASES_NAMED])


def paired(qualified: Iterable[Tables], options: ExportOptions, tally: Tally) -> Iterator[Tables]:
    """Yield the chosen and the rejected trace of every pair, one behind the other."""
    held: list[Tables] = []
    new, limit = 0, _PRUNE_AT_LEAST
    for tables in qualified:
        held.append(Tables(tables.traces.with_columns(first_seen="trace"), tables.turns))
        new += len(tables)
        if new >= limit:  # as many new ones as were kept: the work stays proportional to the input
            held = [_pruned(held, tally)]
            new, limit = 0, max(_PRUNE_AT_LEAST, len(held[0]))
    if not held:
        return
    last = _pruned(held, tally)
    marked = candidates(last.traces.lazy()).collect()
    tally.leave_out(LeftOut.SINGLE_RUN, marked.filter(pl.col("runs") == 1).height)
    sides = pairs(marked.lazy()).collect()
    if options.target is not Target.REFERENCE:
        sides = _far_enough_apart(sides, options, tally)
    for some in sides.iter_slices(_PAIRS_AT_ONCE):
        if some.height:
            yield last.take(some.select(pl.concat_list("chosen", "rejected").explode()).to_series())


def _pruned(held: list[Tables], tally: Tally) -> Tables:
    """Drop the traces that can be neither chosen nor rejected, whatever follows."""
    every = Tables.concat(held)
    marked = candidates(every.traces.lazy()).collect()
    kept = Tables(marked.select(every.traces.columns), every.turns).filter(marked["best"] | marked["worst"])
    tally.leave_out(LeftOut.NOT_SELECTED, len(every) - len(kept))
    return kept


def _far_enough_apart(sides: pl.DataFrame, options: ExportOptions, tally: Tally) -> pl.DataFrame:
    """Drop pairs of one score, and pairs whose scores differ by less than the minimum margin."""
    tied = sides["margin"] <= 0
    near = ~tied & (sides["margin"] < options.min_margin)
    tally.leave_out(LeftOut.TIED, 2 * int(tied.sum()))
    tally.leave_out(LeftOut.SMALL_MARGIN, 2 * int(near.sum()))
    return sides.filter(~tied & ~near)
