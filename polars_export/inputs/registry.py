"""The dialects there are: every package in this folder."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, cast

import polars_export.inputs as folder

if TYPE_CHECKING:
    from polars_export.inputs.dialect import Dialect

__all__ = ["dialects"]


@cache
def dialects() -> dict[str, Dialect]:
    """Return the dialects by their names, in the order in which they are asked whether a source is theirs."""
    packages = [found.name for found in pkgutil.iter_modules(folder.__path__) if found.ispkg]
    modules = [cast("Dialect", import_module(f"{folder.__name__}.{package}")) for package in sorted(packages)]
    return {module.NAME: module for module in modules}
