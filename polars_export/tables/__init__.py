"""The canonical tables: `traces`, one row per trace, and `turns`, one row per turn.

The package can be called: `polars_export.tables(traces, turns)` is `polars_export.tables.frames.tables`. Importing a
module from here makes the package an attribute of `polars_export`, and so hides a function of that name.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polars_export.tables.frames import Frame
    from polars_export.tables.tables import Tables

__all__: list[str] = []


class _CallablePackage(ModuleType):
    def __call__(self, traces: Frame, turns: Frame) -> Tables:
        """Return tables of frames; see `polars_export.tables.frames.tables`."""
        from polars_export.tables.frames import tables  # noqa: PLC0415 - loads Polars

        return tables(traces, turns)


sys.modules[__name__].__class__ = _CallablePackage
