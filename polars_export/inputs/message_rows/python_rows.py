"""Rows that a function of the user's own makes."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from polars_export.inputs.dialect import AmbiguousError
from polars_export.json_values import describe_value
from polars_export.messages.invalid_record import InvalidRecordError

if TYPE_CHECKING:
    from collections.abc import Callable

    from polars_export.json_values import Json

__all__ = ["import_function", "map_row"]


@cache
def import_function(name: str) -> Callable[[Any], Any]:
    """Return the function of a name such as `module:function`.

    Raises:
        AmbiguousError: It cannot be imported.
    """
    module, _, attribute = name.partition(":")
    try:
        function = attrgetter(attribute)(import_module(module))
    except Exception as error:  # noqa: BLE001 - importing a module runs any code
        raise AmbiguousError(f"--map python={name}: {type(error).__name__}: {error}") from None
    if not callable(function):
        raise AmbiguousError(f"--map python={name}: expected a function, found {type(function).__name__}")
    return function  # type: ignore[no-any-return]


def map_row(name: str, row: Json, path: str) -> dict[str, Json]:
    """Return what a function makes of a row.

    Raises:
        InvalidRecordError: It raises an error, or returns something else than a row.
    """
    try:
        made = import_function(name)(row)
    except Exception as error:  # noqa: BLE001 - the function is the user's own
        raise InvalidRecordError(path, f"a row that {name} maps", f"{type(error).__name__}: {error}") from None
    if not isinstance(made, dict):
        found = "None" if made is None else describe_value(made)
        raise InvalidRecordError(path, f"a row with messages from {name}", found)
    return made
