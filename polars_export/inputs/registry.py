"""The dialects there are: every package in this folder."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

import polars_export.inputs as folder
from polars_export.errors import OptionError
from polars_export.inputs.unsupported import UNSUPPORTED
from polars_export.option_values import expected_one_of

if TYPE_CHECKING:
    from polars_export.inputs.dialect import Dialect

__all__ = ["check_input", "dialects", "input_names"]


def input_names() -> list[str]:
    """Return the names of the dialects: those of their packages."""
    return sorted(found.name.replace("_", "-") for found in pkgutil.iter_modules(folder.__path__) if found.ispkg)


def check_input(name: str | None) -> None:
    """Check the name of a kind of input that a user gives.

    Raises:
        OptionError: There is no such kind, or it is one that is known and not supported.
    """
    if name is None or name in input_names():
        return
    if advice := UNSUPPORTED.get(name):
        raise OptionError("input", advice)
    raise OptionError("input", expected_one_of(input_names(), name))


@cache
def dialects() -> dict[str, Dialect]:
    """Return the dialects by their names, in the order in which they are asked: those that may be anything last."""
    packages = sorted(found.name for found in pkgutil.iter_modules(folder.__path__) if found.ispkg)
    found: list[Dialect] = [import_module(f"{folder.__name__}.{package}").DIALECT for package in packages]
    found.sort(key=lambda dialect: dialect.is_general)
    return {dialect.name: dialect for dialect in found}
