"""The errors of sources that hold no traces."""

from __future__ import annotations

from polars_export.errors import SourceError

__all__ = ["AccompaniesError", "NoTracesError", "OtherContainerError", "UnknownKindError"]


class NoTracesError(SourceError):
    """The source holds no traces: it is empty, of another kind that is known, or of a kind that is not."""


class OtherContainerError(NoTracesError):
    """The source is a table or an archive of something else."""


class UnknownKindError(SourceError):
    """The source starts with an object of no known kind."""


class AccompaniesError(NoTracesError):
    """The source was found in a search and belongs to another one, which is read: it is not worth a word."""

    def __init__(self, source: str) -> None:
        super().__init__(source, "")
