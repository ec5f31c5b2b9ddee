"""Export traces that are Python objects."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from polars_export.decode import paused_collection
from polars_export.errors import OptionError
from polars_export.formats import record_format
from polars_export.options import Target, TrainingFormat
from polars_export.pipeline.prompts import context_of
from polars_export.pipeline.rejects import StopAtFirst
from polars_export.pipeline.render import rendered
from polars_export.pipeline.stages import Qualifying, paired, prompted
from polars_export.pipeline.tally import Tally
from polars_export.sources import objects_chunk
from polars_export.writers.jsonlines import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from polars_export.chunk import Chunk
    from polars_export.options import ExportOptions

__all__ = ["export_objects"]

_OBJECTS_AT_ONCE = 1_000


def export_objects(
    traces: Iterable[Mapping[str, Any]], options: ExportOptions, eval_set_id: str | None = None
) -> bytes:
    """Export case results or scored traces that are Python objects, as JSON lines.

    Raises:
        SerializationError: A trace has no JSON form.
        BadRecordError: A trace is not what it should be.
        MissingPromptError: The target's records need prompts, and cases have none.
        NothingToExportError: No trace is left to export.
        OptionError: Bad traces are to be skipped.
    """
    if options.skips:
        raise OptionError("on_error", "skip is for exports of files: it sets aside what cannot be used")
    tally, format_ = Tally(), record_format(options)
    schema = format_.schema(options)
    with paused_collection():
        tables = Qualifying(options).of(_chunks(traces, eval_set_id), tally, StopAtFirst())
        if options.target is not Target.REFERENCE:
            tables = prompted(tables, context_of(options.prompts, options), options, tally)
        if options.format is TrainingFormat.DPO:
            tables = paired(tables, options, tally)
        pieces = rendered(tables, options, tally)
        text = b"".join(encode(piece.rendered.records, schema, format_.ABSENT) for piece in pieces)
    tally.refuse_nothing(options.quality_threshold)
    return text


def _chunks(traces: Iterable[Mapping[str, Any]], eval_set_id: str | None) -> Iterator[Chunk]:
    remaining, first = iter(traces), 0
    while some := list(islice(remaining, _OBJECTS_AT_ONCE)):
        yield objects_chunk(some, first, eval_set_id)
        first += len(some)
