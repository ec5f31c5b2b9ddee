"""LLaMA-Factory's unpaired preferences: `conversations` in alternation and a label, `kto_tag`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from polars_export.formats.labels import labels
from polars_export.formats.llamafactory import sharegpt
from polars_export.formats.rendered import first_reason
from polars_export.report import DropReason
from polars_export.tables.nested import arrow

if TYPE_CHECKING:
    from polars_export.formats.rendered import Rendered
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["ABSENT", "render", "schema"]

ABSENT = sharegpt.ABSENT


def schema(options: ExportOptions) -> pa.Schema:
    """Return the schema of a record."""
    return sharegpt.schema(options).insert(1, pa.field("kto_tag", pa.bool_()))


def render(tables: Tables, options: ExportOptions) -> Rendered:
    """Return one record per trace whose label is known; a conversation that breaks the alternation is dropped."""
    label = labels(tables.traces, options)
    rendered = sharegpt.render(tables.filter(label.is_not_null()), options)
    tags = label.drop_nulls().gather(rendered.rows)
    tagged = rendered.with_records(rendered.records.add_column(1, "kto_tag", arrow(tags)))
    return tagged.among(first_reason({DropReason.UNLABELLED: label.is_null()}))
