"""TRL's prompt-completion records: the system's and user's messages, and what follows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.formats.messages import ABSENT
from polars_export.formats.rendered import first_reason
from polars_export.formats.trl.columns import ConversationColumns, one_per_trace, trace_schema

if TYPE_CHECKING:
    import pyarrow as pa

    from polars_export.formats.rendered import Rendered
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["ABSENT", "render", "schema"]


def schema(options: ExportOptions) -> pa.Schema:
    """Return the schema of a record."""
    return trace_schema(options, ("prompt", "completion"))


def render(tables: Tables, options: ExportOptions) -> Rendered:
    """Return one record per trace in which the agent answers a user."""
    available = ConversationColumns(tables, options)
    reasons = first_reason(available.reasons())
    kept = reasons.is_null()
    available = available.among(kept)
    columns = {"prompt": available.prompt(), "completion": available.completion()}
    return one_per_trace(tables.filter(kept), options, available, columns).among(reasons)
