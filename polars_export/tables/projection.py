"""How much of a trace is decoded: which columns of the tables there are."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Projection"]


class Projection(IntEnum):
    """A higher one has the columns of the lower ones."""

    SELECTION = 0
    """What decides whether a trace is exported: its case, its scores, and whether it says anything."""
    RECORDS = 1
    """What the reference's records are made from."""
    CONVERSATIONS = 2
    """What records for trainers need."""
    FULL = 3
    """All that the traces hold and a user would analyse or filter by."""
