"""Bytes: find the sources, open them, recognise what they hold and cut them into chunks of records."""

from polars_export.sources.find import Source, Sources, find_sources
from polars_export.sources.read import Reading, objects_chunk

__all__ = ["Reading", "Source", "Sources", "find_sources", "objects_chunk"]
