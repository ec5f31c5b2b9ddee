"""What the fields of a row say beside its messages: case, run, score, model and tools."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import UNSET

from polars_export.inputs.message_rows.invalid_row import InvalidRowError
from polars_export.inputs.message_rows.json_text import from_text, to_text
from polars_export.inputs.message_rows.records import CASE_FIELDS, RUN_FIELDS, SCORE_FIELDS
from polars_export.json_values import describe_value, parse

if TYPE_CHECKING:
    from polars_export.inputs.message_rows.records import Row
    from polars_export.json_values import Json

__all__ = ["case_of", "metric_of", "model_of", "run_of", "tools_of"]

_FLAT_FIELDS: dict[Json, str] = {"input_schema": "parameters"}  # as Anthropic names them


def case_of(row: Row, path: str) -> str | None:
    """Return the case that a row names; None without one."""
    return _name_of(row, CASE_FIELDS, "case", path)


def run_of(row: Row, path: str) -> str | None:
    """Return what distinguishes a row from others of its case; None without."""
    return _name_of(row, RUN_FIELDS, "run", path)


def metric_of(row: Row, path: str) -> tuple[str, float] | None:
    """Return the field of the score and the score; None if nothing scored the row."""
    given = {name: value for name in SCORE_FIELDS if (value := getattr(row, name, UNSET)) is not UNSET}
    if not given:
        return None
    (name, value), *others = given.items()
    if others:
        raise _ambiguous("score", list(given), path)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidRowError(f"{path}.{name}", "a number or null", describe_value(value))
    try:
        score = float(value)
    except OverflowError:
        score = math.inf
    if not math.isfinite(score):
        found = "NaN" if math.isnan(score) else "a number too large for double precision"
        raise InvalidRowError(f"{path}.{name}", "a number or null", found)
    return name, score


def model_of(row: Row, path: str) -> str | None:
    """Return the model of a row; None if it names none."""
    model = getattr(row, "model", None)
    if model is None or model is UNSET:
        return None
    if not isinstance(model, str):
        raise InvalidRowError(f"{path}.model", "a string or null", describe_value(model))
    return model


def tools_of(row: Row, path: str) -> list[str] | None:
    """Return the function schemas of a row's tools; None if it names none."""
    raw = getattr(row, "tools", UNSET)
    return None if raw is UNSET else _schemas(bytes(raw), f"{path}.tools")


def _name_of(row: Row, fields: tuple[str, ...], what: str, path: str) -> str | None:
    given = {name: value for name in fields if (value := getattr(row, name, None)) is not None and value is not UNSET}
    if not given:
        return None
    (name, value), *others = given.items()
    if others:
        raise _ambiguous(what, list(given), path)
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InvalidRowError(f"{path}.{name}", "a string, an integer or null", describe_value(value))


def _ambiguous(what: str, names: list[str], path: str) -> InvalidRowError:
    options = " or ".join(f"--map {what}={name}" for name in names)
    return InvalidRowError(path, f"one field for the {what} (say which: {options})", " and ".join(names))


@lru_cache(maxsize=64)  # mostly all rows have the same tools
def _schemas(text: bytes, path: str) -> list[str] | None:
    try:
        tools = from_text(parse(text))
    except ValueError as error:
        raise InvalidRowError(path, "an array of function schemas", f"text that cannot be read ({error})") from None
    if tools is None:
        return None
    if not isinstance(tools, list):
        raise InvalidRowError(path, "an array of function schemas, or JSON of one", describe_value(tools))
    return [_schema(tool, f"{path}[{index}]") for index, tool in enumerate(tools)]


def _schema(tool: Json, path: str) -> str:
    """Return a function schema in OpenAI's spelling; flat ones and those of Anthropic are brought to it."""
    value = from_text(tool)
    if not isinstance(value, dict):
        raise InvalidRowError(path, "a function schema", describe_value(value))
    function = value.get("function")
    if isinstance(function, dict):
        if not isinstance(function.get("name"), str):
            raise InvalidRowError(f"{path}.function.name", "a string", _describe_field(function, "name"))
    elif isinstance(value.get("name"), str):
        flat = {_FLAT_FIELDS.get(key, key): item for key, item in value.items() if key != "type"}
        value = {"type": "function", "function": flat}
    else:
        raise InvalidRowError(path, "a function schema (`function`, or `name`)", "an object without")
    return to_text(value, path)


def _describe_field(value: dict[str, Json], name: str) -> str:
    return describe_value(value[name]) if name in value else "no such field"
