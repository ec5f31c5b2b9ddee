"""TRL's unpaired preferences: a prompt, a completion and its label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from polars_export.formats.labels import labels
from polars_export.formats.messages import ABSENT
from polars_export.formats.rendered import first_reason
from polars_export.formats.trl.columns import ConversationColumns, one_per_trace, trace_schema
from polars_export.report import DropReason
from polars_export.tables.nested import arrow

if TYPE_CHECKING:
    from polars_export.formats.rendered import Rendered
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["ABSENT", "render", "schema"]


def schema(options: ExportOptions) -> pa.Schema:
    """Return the schema of a record."""
    return trace_schema(options, ("prompt", "completion"), label=pa.bool_())


def render(tables: Tables, options: ExportOptions) -> Rendered:
    """Return one record per trace in which the agent answers a user and whose label is known."""
    label, available = labels(tables.traces, options), ConversationColumns(tables, options)
    reasons = first_reason(available.reasons() | {DropReason.UNLABELLED: label.is_null()})
    kept = reasons.is_null()
    available = available.among(kept)
    columns = {"prompt": available.prompt(), "completion": available.completion(), "label": arrow(label.filter(kept))}
    return one_per_trace(tables.filter(kept), options, available, columns).among(reasons)
