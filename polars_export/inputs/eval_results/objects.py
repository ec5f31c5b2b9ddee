"""Case results and scored traces that are Python objects."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from polars_export.errors import SerializationError
from polars_export.inputs.eval_results import LINES
from polars_export.sources.chunk import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from polars_export.inputs.dialect import Match

__all__ = ["object_chunks", "objects_chunk"]

_OBJECTS_AT_ONCE = 1_000


def object_chunks(traces: Iterable[Mapping[str, Any]], eval_set_id: str | None = None) -> Iterator[tuple[Match, Chunk]]:
    """Yield chunks of traces that are Python objects, each with what it is; see `objects_chunk`.

    Raises:
        SerializationError: A trace has no JSON form.
    """
    remaining, first = iter(traces), 0
    while batch := list(islice(remaining, _OBJECTS_AT_ONCE)):
        yield LINES, objects_chunk(batch, first, eval_set_id)
        first += len(batch)


def objects_chunk(traces: Iterable[Mapping[str, Any]], first: int, eval_set_id: str | None) -> Chunk:
    """Return a chunk of traces that are Python objects; `first` is the index of the first among all.

    With an `eval_set_id` they are the case results of a results document.

    Raises:
        SerializationError: A trace has no JSON form.
    """
    spans: list[tuple[int, int]] = []
    data = bytearray()
    for index, trace in enumerate(traces, first):
        start = len(data)
        try:
            data += json.dumps(trace, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise SerializationError(index, f"it has no JSON form: {error}") from error
        spans.append((start, len(data)))
    positions = range(first, first + len(spans))
    array_path = "$" if eval_set_id is None else "$.case_results"
    header = None if eval_set_id is None else msgspec.json.encode({"eval_set_id": eval_set_id}).decode()
    return Chunk("traces", memoryview(data), spans, positions, array_path, header)
