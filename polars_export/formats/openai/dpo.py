"""OpenAI's preference pairs: an input, and two answers of one message each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from polars_export.conversation import trainer_conversations
from polars_export.formats.dropped_content import count_dropped
from polars_export.formats.messages import ABSENT, message_lists, message_type, tools_column, tools_type
from polars_export.formats.pair_sides import both_sides, different
from polars_export.formats.rendered import Rendered
from polars_export.report import DropReason
from polars_export.tables.nested import arrow, structs

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["ABSENT", "render", "schema"]


def schema(options: ExportOptions) -> pa.Schema:
    """Return the schema of a record."""
    messages = pa.list_(message_type(options))
    question = pa.struct({"messages": messages, "tools": tools_type(options)})
    return pa.schema({"input": question, "preferred_output": messages, "non_preferred_output": messages})


def render(tables: Tables, options: ExportOptions) -> Rendered:
    """Return one record per pair; the traces stand chosen, rejected, chosen, rejected, and so on.

    Pairs in which a side is not a single message of the assistant, or both say the same, are left out.
    """
    conversations = trainer_conversations(tables, options)
    in_completion = conversations.in_completion()
    spoken = conversations.messages.filter(in_completion)
    sides = pl.Series(message_lists(tables, spoken, options))
    single = both_sides(sides.list.len() == 1)
    keep = single & different(sides)
    dropped = {
        DropReason.NOT_REPRESENTABLE: 2 * int((~single).sum()),
        DropReason.IDENTICAL: 2 * int((single & ~keep).sum()),
    }
    asked = conversations.messages.filter(~in_completion)
    question = structs({"messages": message_lists(tables, asked, options), "tools": tools_column(tables)})
    columns = {
        "input": arrow(pl.Series(question).gather_every(2).filter(keep)),
        "preferred_output": arrow(sides.gather_every(2).filter(keep)),
        "non_preferred_output": arrow(sides.gather_every(2, offset=1).filter(keep)),
    }
    kept = tables.filter(keep.gather(pl.int_range(len(tables), eager=True) // 2))
    rows = pl.int_range(0, len(tables), 2, eager=True).filter(keep)
    return Rendered(pa.table(columns), rows, dropped, count_dropped(kept, options))
