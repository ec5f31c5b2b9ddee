"""OpenAI's preference pairs: an input, and two completions of one message each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.formats.dropped_content import count_dropped
from polars_export.formats.messages import ABSENT, message_type, tools_column, tools_type
from polars_export.formats.openai.answered_calls import broken_call_rules
from polars_export.formats.pair_sides import either_side, for_both_sides, pair_sides
from polars_export.formats.rendered import Rendered, first_reason
from polars_export.report import DropReason
from polars_export.tables.nested import structs

if TYPE_CHECKING:
    from polars_export.formats.pair_sides import PairSides
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["ABSENT", "render", "schema"]


def schema(options: ExportOptions) -> pa.Schema:
    """Return the schema of a record."""
    messages = pa.list_(message_type(options))
    inputs = pa.struct({"messages": messages, "tools": tools_type(options)})
    return pa.schema({"input": inputs, "preferred_output": messages, "non_preferred_output": messages})


def render(tables: Tables, options: ExportOptions) -> Rendered:
    """Return one record per pair; the traces stand chosen, rejected, chosen, rejected, and so on.

    A pair is dropped whose sides share no prompt or say the same, in which a side is not a single message of the
    assistant, or whose prompt has a call that is not answered exactly once.
    """
    sides = pair_sides(tables, options)
    several = either_side(sides.completion_lengths() != 1)
    general = first_reason(sides.reasons() | {DropReason.NOT_SINGLE_MESSAGE: several})
    reason = general.zip_with(general.is_not_null(), _broken_prompts(sides))
    reasons = for_both_sides(reason)
    chosen = pl.int_range(0, len(tables), 2, eager=True).filter(reason.is_null())
    inputs = structs({"messages": sides.prompts(chosen), "tools": tools_column(tables, chosen)})
    columns = {
        "input": inputs,
        "preferred_output": sides.completions(chosen),
        "non_preferred_output": sides.completions(chosen + 1),
    }
    kept = reasons.is_null()
    dropped_content = count_dropped(tables.filter(kept), options)
    dropped_content |= sides.dropped_content(kept) | sides.context_to_learn(kept)
    return Rendered(pa.table(columns), chosen, reasons, dropped_content)


def _broken_prompts(sides: PairSides) -> pl.Series:
    """Return for each pair the rule that a call in its prompt breaks, null if none does."""
    of_prompts = ~sides.messages["in_completion"] & (sides.messages["row"] % 2 == 0)
    turns = sides.messages["turn"].filter(of_prompts).drop_nulls()
    in_prompt = pl.repeat(value=False, n=sides.tables.turns.height, eager=True).scatter(turns, values=True)
    return broken_call_rules(sides.tables, in_prompt).gather_every(2)
