"""Export traces that are Python objects."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from polars_export.errors import OptionError
from polars_export.execution.quarantine import RaiseFirst
from polars_export.formats import record_format
from polars_export.inputs.reader import objects_chunk
from polars_export.pipeline.counters import Counters
from polars_export.pipeline.render import rendered
from polars_export.pipeline.stages import ThresholdReader, paired, prompted
from polars_export.process import pause_gc
from polars_export.prompts.side_inputs import load_side_inputs
from polars_export.targets import Unit
from polars_export.writers.jsonlines import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from polars_export.options import ExportOptions
    from polars_export.sources.chunk import Chunk

__all__ = ["export_in_memory"]

_OBJECTS_AT_ONCE = 1_000


def export_in_memory(
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
    tally, format_ = Counters(), record_format(options)
    schema = format_.schema(options)
    with pause_gc():
        tables = ThresholdReader(options).of(_chunks(traces, eval_set_id), tally, RaiseFirst())
        if options.target.joins_prompts:
            tables = prompted(tables, load_side_inputs(options.prompts, options), options, tally)
        if options.unit is Unit.PAIR:
            tables = paired(tables, options, tally)
        pieces = rendered(tables, options, tally)
        text = b"".join(encode(piece.rendered.records, schema, format_.ABSENT) for piece in pieces)
    tally.raise_if_empty(options.quality_threshold)
    return text


def _chunks(traces: Iterable[Mapping[str, Any]], eval_set_id: str | None) -> Iterator[Chunk]:
    remaining, first = iter(traces), 0
    while some := list(islice(remaining, _OBJECTS_AT_ONCE)):
        yield objects_chunk(some, first, eval_set_id)
        first += len(some)
