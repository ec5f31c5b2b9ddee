"""OpenAI's preference pairs: an input, and two completions of one message each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.conversation import trainer_conversations
from polars_export.formats.dropped_content import count_dropped
from polars_export.formats.messages import ABSENT as OF_MESSAGES
from polars_export.formats.messages import message_lists, message_type, tools_column, tools_type
from polars_export.formats.pair_sides import different, either_side, for_both_sides
from polars_export.formats.rendered import Rendered, first_reason
from polars_export.report import DropReason
from polars_export.tables.nested import arrow, structs

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["ABSENT", "render", "schema"]

ABSENT = (*OF_MESSAGES, "weight")


def schema(options: ExportOptions) -> pa.Schema:
    """Return the schema of a record."""
    messages = pa.list_(message_type(options))
    inputs = pa.struct({"messages": messages, "tools": tools_type(options)})
    return pa.schema({"input": inputs, "preferred_output": messages, "non_preferred_output": messages})


def render(tables: Tables, options: ExportOptions) -> Rendered:
    """Return one record per pair; the traces stand chosen, rejected, chosen, rejected, and so on.

    Pairs in which a side is not a single message of the assistant, or both say the same, are dropped.
    """
    conversations = trainer_conversations(tables, options)
    in_completion = conversations.in_completion()
    completions = conversations.messages.filter(in_completion)
    sides = pl.Series(message_lists(tables, completions, options))
    reason = first_reason(
        {
            DropReason.NOT_SINGLE_MESSAGE: either_side(sides.list.len() != 1),
            DropReason.IDENTICAL: ~different(sides),
        }
    )
    keep, reasons = reason.is_null(), for_both_sides(reason)
    prompts = conversations.messages.filter(~in_completion)
    inputs = structs({"messages": message_lists(tables, prompts, options), "tools": tools_column(tables)})
    columns = {
        "input": arrow(pl.Series(inputs).gather_every(2).filter(keep)),
        "preferred_output": arrow(sides.gather_every(2).filter(keep)),
        "non_preferred_output": arrow(sides.gather_every(2, offset=1).filter(keep)),
    }
    kept = reasons.is_null()
    dropped_content = count_dropped(tables.filter(kept), options) | conversations.dropped_content(kept)
    rows = pl.int_range(0, len(tables), 2, eager=True).filter(keep)
    return Rendered(pa.table(columns), rows, reasons, dropped_content)
