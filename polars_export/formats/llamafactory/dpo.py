"""LLaMA-Factory's ranking records: a prompt and two completions of one message each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.formats.dropped_content import count_dropped
from polars_export.formats.llamafactory.alternation import MESSAGE, alternate
from polars_export.formats.pair_sides import different, either_side, for_both_sides, pair_sides
from polars_export.formats.rendered import Rendered, first_reason
from polars_export.report import DropReason
from polars_export.tables.nested import arrow

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["ABSENT", "render", "schema"]

ABSENT: tuple[str, ...] = ()


def schema(options: ExportOptions) -> pa.Schema:  # noqa: ARG001 - the surface of a format
    """Return the schema of a record: each completion is one message, not a list."""
    text = pa.string()
    return pa.schema(
        {"conversations": pa.list_(MESSAGE), "chosen": MESSAGE, "rejected": MESSAGE, "system": text, "tools": text}
    )


def render(tables: Tables, options: ExportOptions) -> Rendered:
    """Return one record per pair; the traces stand chosen, rejected, chosen, rejected, and so on.

    A pair is dropped whose sides share no prompt or say the same, in which a side is not a single message, or which
    breaks the alternation. Where the assistant speaks before the completion with nothing between, its messages are one.
    """
    sides = pair_sides(tables, options)
    alternation = alternate(tables, sides.messages)
    completions = alternation.completions()
    general = first_reason(
        {DropReason.DIFFERENT_PROMPTS: sides.different_prompts, DropReason.IDENTICAL: ~different(completions)}
    )
    several = first_reason({DropReason.NOT_SINGLE_MESSAGE: either_side(completions.list.len() != 1)})
    of_sides = (alternation.reasons.gather_every(2), alternation.reasons.gather_every(2, offset=1))
    reason = pl.select(pl.coalesce(general, *of_sides, several)).to_series()
    keep, reasons = reason.is_null(), for_both_sides(reason)
    completion = completions.list.first()
    columns = {
        "conversations": alternation.prompts().gather_every(2),
        "chosen": completion.gather_every(2),
        "rejected": completion.gather_every(2, offset=1),
        "system": alternation.system.gather_every(2),
        "tools": alternation.tools.gather_every(2),
    }
    records = pa.table({name: arrow(column.filter(keep)) for name, column in columns.items()})
    rows, kept = pl.int_range(0, len(tables), 2, eager=True).filter(keep), reasons.is_null()
    dropped_content = count_dropped(tables.filter(kept), options) | sides.dropped_content(kept)
    dropped_content |= alternation.dropped_content(kept, pl.col("in_completion"))
    return Rendered(records, rows, reasons, dropped_content)
