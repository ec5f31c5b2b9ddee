"""Bytes: find the sources, cut them into segments, recognise what they hold and read them as chunks of records.

Prompts and tools, which come from files of their own, are in `sources.prompts` and `sources.tools`: what is here needs
neither Polars nor pyarrow, so that a process that only hands out work starts fast.
"""

from polars_export.sources.chosen import Place, Stored, chosen_chunks
from polars_export.sources.find import Source, Sources, find_sources, listed
from polars_export.sources.read import Limits, Reading, objects_chunk
from polars_export.sources.segments import Part, Segment, lines_before, parts_of, refuse_if_all, size_of

__all__ = [
    "Limits",
    "Part",
    "Place",
    "Reading",
    "Segment",
    "Source",
    "Sources",
    "Stored",
    "chosen_chunks",
    "find_sources",
    "lines_before",
    "listed",
    "objects_chunk",
    "parts_of",
    "refuse_if_all",
    "size_of",
]
