"""Check the value of one option and convert it to the type it has; every error names the option."""

from __future__ import annotations

import difflib
import math
import operator
import os
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from polars_export.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from enum import StrEnum

__all__ = [
    "Parse",
    "byte_size",
    "expected_one_of",
    "flag",
    "member_of",
    "number",
    "optional",
    "path",
    "paths",
    "text",
    "whole_number",
]

Parse: TypeAlias = Callable[[str, Any], object]
"""Takes the name of an option and the value given; returns the value that the option has."""


def optional(parse: Parse) -> Parse:
    """Return what parses a value that may be None."""
    return lambda option, value: None if value is None else parse(option, value)


def member_of(enum: type[StrEnum]) -> Parse:
    """Return what parses a member of an enumeration or its value."""

    def member(option: str, value: object) -> StrEnum:
        try:
            return enum(value)  # type: ignore[arg-type] # raises ValueError for any other type
        except ValueError:
            raise OptionError(option, expected_one_of(list(enum), value)) from None

    return member


def expected_one_of(names: Sequence[str], value: object) -> str:
    """Return the problem with a value that is none of some names."""
    near = difflib.get_close_matches(str(value), names, n=1)
    return f"expected one of {', '.join(names)}, found {value!r}" + (f"; did you mean {near[0]}?" if near else "")


def flag(option: str, value: object) -> bool:
    """Return True or False."""
    if isinstance(value, bool):
        return value
    raise OptionError(option, f"expected True or False, found {value!r}")


def number(option: str, value: object) -> float:
    """Return a finite number; anything that converts to a float is one, texts and booleans are not."""
    try:
        converted = math.nan if isinstance(value, (bool, str, bytes)) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        converted = math.nan
    if not math.isfinite(converted):
        raise OptionError(option, f"expected a finite number, found {value!r}")
    return converted


def whole_number(option: str, value: object) -> int:
    """Return a whole number."""
    try:
        if not isinstance(value, bool):
            return operator.index(value)  # type: ignore[arg-type] # raises TypeError for any other type
    except TypeError:
        pass
    raise OptionError(option, f"expected a whole number, found {value!r}")


_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def byte_size(option: str, value: object) -> int:
    """Return a number of bytes, given as such or as a text such as `500MB`."""
    text = str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    amount = float(match[1]) * _UNITS.get(match[2].upper(), 0) if match else 0.0
    size = int(amount) if math.isfinite(amount) else 0
    if size <= 0:
        raise OptionError(option, f"expected a size such as 500MB, found {value!r}")
    return size


def path(option: str, value: object) -> str:
    """Return a path."""
    if isinstance(value, (str, os.PathLike)) and isinstance(text := os.fspath(value), str):
        return text
    raise OptionError(option, f"expected a path, found {value!r}")


def paths(option: str, value: object) -> tuple[str, ...]:
    """Return paths, given as one or as an iterable of them."""
    if isinstance(value, (str, os.PathLike)):
        return (path(option, value),)
    if not isinstance(value, Iterable) or isinstance(value, (bytes, bytearray)):
        raise OptionError(option, f"expected a path or several, found {value!r}")
    return tuple(path(option, each) for each in value)


def text(option: str, value: object) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise OptionError(option, f"expected a text, found {value!r}")
    return value
