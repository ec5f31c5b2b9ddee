"""Inspect's logs: `.eval` archives with a member for each sample, and `.json` documents."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from polars_export.inputs.dialect import Dialect, Match
from polars_export.inputs.inspect.sample import KEYS, Sample, understand
from polars_export.inputs.record_decoder import RecordDecoder
from polars_export.sources.json_document import ArrayLayout
from polars_export.sources.zip_members import ZipMembers
from polars_export.tables.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from polars_export.inputs.decoding import Decoder

__all__ = ["DIALECT"]

_HEADERS = ("header.json", "_journal/start.json")  # the second of a log that was not finished
_OF_TOOLS = (b'"model"', b'"tools"', b'"parameters"')
_ARCHIVE = Match("inspect", ZipMembers("samples/", ".json", _HEADERS, KEYS, ("events", _OF_TOOLS)))
_DOCUMENT = Match("inspect", ArrayLayout(("samples",), ("version", "status", "eval"), "sample"))


class Inspect(Dialect):
    """Logs of Inspect."""

    name = "inspect"
    expected = "a log of Inspect (an archive with `samples/`, or `eval` and `samples`)"

    def matches_members(self, names: AbstractSet[str], /) -> Match | None:
        """Return whether an archive has a header of a log."""
        return _ARCHIVE if names & set(_HEADERS) else None

    def matches_keys(self, keys: AbstractSet[str], /) -> Match | None:
        """Return whether a document is a log with samples."""
        return _DOCUMENT if {"version", "status", "eval", "samples"} <= keys else None

    def has_own_keys(self, keys: AbstractSet[str], /) -> bool:
        """Return whether broken JSON with these keys is a damaged log."""
        return {"version", "status", "eval"} <= keys

    def describe_other(self, keys: AbstractSet[str], /) -> str | None:
        """Name logs without samples."""
        if {"version", "status", "eval"} <= keys:
            return "a log of Inspect without samples holds no traces"
        return None

    def accompanies(self, path: str, _keys: AbstractSet[str], /) -> bool:
        """Return whether a file is an index of a folder of logs."""
        return path.endswith(("logs.json", "listing.json", "eval-set.json"))

    def decoder(self, _match: Match, projection: Projection, /, *, sort_arguments: bool) -> Decoder:
        """Return what decodes samples; their events only where tools are wanted."""
        with_tools = projection >= Projection.CONVERSATIONS
        understood = partial(understand, with_tools=with_tools)
        return RecordDecoder(Sample, understood, projection, sort_arguments=sort_arguments)


DIALECT = Inspect()
