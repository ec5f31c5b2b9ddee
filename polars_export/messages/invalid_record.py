"""The error of a row that is not what it should be, before it is known where the row stands."""

from __future__ import annotations

from polars_export.json_values import Mismatch

__all__ = ["InvalidRecordError"]


class InvalidRecordError(Exception):
    """A row is not what it should be.

    Attributes:
        mismatch: Where, and how.
    """

    def __init__(self, path: str, expected: str, found: str) -> None:
        super().__init__(path)
        self.mismatch = Mismatch(path, expected, found)
