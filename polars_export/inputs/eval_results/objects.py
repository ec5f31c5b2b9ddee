"""Case results and scored traces that are Python objects."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from polars_export.errors import SerializationError
from polars_export.sources.chunk import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["objects_chunk"]


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
    return Chunk("traces", memoryview(data), spans, positions, array_path, eval_set_id)
