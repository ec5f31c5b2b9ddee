"""Bytes: find the sources, open them, recognise what they hold and cut them into chunks of records."""

from polars_export.sources.find import Source, Sources, find_sources, listed
from polars_export.sources.prompts import PROMPTS, read_prompts, sets_of_stores
from polars_export.sources.read import Reading, objects_chunk
from polars_export.sources.tools import Tools, read_tools

__all__ = [
    "PROMPTS",
    "Reading",
    "Source",
    "Sources",
    "Tools",
    "find_sources",
    "listed",
    "objects_chunk",
    "read_prompts",
    "read_tools",
    "sets_of_stores",
]
