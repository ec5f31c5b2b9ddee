"""What the fields of a row say beside its messages: case, run, score, model, tools and the user's own."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, Raw

from polars_export.json_values import describe_value, parse
from polars_export.mapping import Constant, show_path
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.messages.json_text import from_text, to_text
from polars_export.messages.tool_schemas import tool_schemas

if TYPE_CHECKING:
    from polars_export.inputs.message_rows.rows import RowFields
    from polars_export.json_values import Json
    from polars_export.mapping import Extra, FieldPath

__all__ = ["error_of", "extra_of", "metrics_of", "name_of", "system_of", "tools_of", "verdict_of"]

Metric = tuple[str, float]


def name_of(fields: RowFields, row: Json, key: str, path: str) -> str | None:
    """Return the case, eval set, run or model that a row names; None if it names none.

    Raises:
        InvalidRecordError: Several fields may name it, or it is neither a string nor an integer.
    """
    if isinstance(constant := next(iter(fields.paths.get(key, ())), None), Constant):
        return constant.value
    given = {at: value for at, value in _given(fields, row, key).items() if value is not None}
    at, value = _only(given, key, path)
    if at is None:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and key != "model":
        return str(value)
    kinds = "a string or null" if key == "model" else "a string, an integer or null"
    raise InvalidRecordError(f"{path}.{show_path(at)}", kinds, describe_value(value))


def metrics_of(fields: RowFields, row: Json, path: str) -> list[Metric]:
    """Return what scored a row: one metric of the name of the score's field, or those of an object of numbers.

    Raises:
        InvalidRecordError: Several fields may be the score, or a score is no number.
    """
    if fields.mapping.of("metrics"):
        ((at, value),) = _given(fields, row, "metrics").items() or ((None, None),)
        value = from_text(value)
        if at is None or value is None:
            return []
        where = f"{path}.{show_path(at)}"
        if not isinstance(value, dict):
            raise InvalidRecordError(where, "an object of numbers", describe_value(value))
        scores = [(name, _number(item, f"{where}.{name}")) for name, item in value.items()]
        return [(name, score) for name, score in scores if score is not None]
    at, value = _only(_given(fields, row, "score"), "score", path)
    score = None if at is None else _number(value, f"{path}.{show_path(at)}")
    return [] if at is None or score is None else [(show_path(at), score)]


def verdict_of(fields: RowFields, row: Json) -> tuple[Literal["pass", "fail"] | None, bool]:
    """Return the verdict of a row, None if it is not known, and whether it has a value that means none."""
    mapping = fields.mapping
    value = fields.value(row, mapping.verdict) if mapping.verdict else None
    if value is None or value is UNSET:
        return None, False
    values = mapping.verdict_values
    if not isinstance(value, dict | list):
        if value in values.passing:
            return "pass", False
        if value in values.failing:
            return "fail", False
    return None, True


def system_of(fields: RowFields, row: Json, path: str) -> str | None:
    """Return the system prompt that stands beside the messages; None without.

    Raises:
        InvalidRecordError: It is no text.
    """
    if isinstance(constant := next(iter(fields.paths.get("system", ())), None), Constant):
        return constant.value
    at, value = _only(_given(fields, row, "system"), "system", path)
    if at is None or value is None:
        return None
    if isinstance(value, str):
        return value
    raise InvalidRecordError(f"{path}.{show_path(at)}", "a string or null", describe_value(value))


def error_of(fields: RowFields, row: Json, path: str) -> str | None:
    """Return what a row says of a run that crashed; None if it did not."""
    at, value = _only(_given(fields, row, "error"), "error", path)
    if at is None or value is None or value is False or value == "":
        return None
    return value if isinstance(value, str) else to_text(value, path)


def tools_of(fields: RowFields, row: Json, path: str) -> list[str] | None:
    """Return the function schemas of a row's tools; None if it names none.

    Raises:
        InvalidRecordError: They are none.
    """
    at, value = _only(_given(fields, row, "tools"), "tools", path)
    if at is None or value is None:
        return None
    where = f"{path}.{show_path(at)}"
    return _schemas(bytes(value) if isinstance(value, Raw) else to_text(value, where).encode(), where)


def extra_of(fields: RowFields, row: Json, path: str) -> str | None:
    """Return the columns of the user's own as the text of a JSON object; None without any.

    Raises:
        InvalidRecordError: A value is not of its type.
    """
    mapping = fields.mapping
    values = {name: _extra(fields.value(row, extra.path), extra, path) for name, extra in mapping.extra}
    if mapping.all_extra and isinstance(row, dict):
        taken = {*fields.names(), *(extra.path[0] for _, extra in mapping.extra)}
        values |= {name: value for name, value in row.items() if name not in taken and name not in values}
    return to_text(values, path) if values else None


def _extra(value: Json, extra: Extra, path: str) -> Json:
    if value is None or value is UNSET:
        return None
    is_boolean, is_number = isinstance(value, bool), isinstance(value, int | float)
    if extra.type == "text":
        return value if isinstance(value, str) else to_text(value, path)
    if (extra.type == "boolean") != is_boolean or (extra.type == "number" and not is_number):
        raise InvalidRecordError(f"{path}.{show_path(extra.path)}", f"a {extra.type} or null", describe_value(value))
    return value


def _given(fields: RowFields, row: Json, key: str) -> dict[FieldPath, Json]:
    paths = [path for path in fields.paths.get(key, ()) if not isinstance(path, Constant)]
    return {path: value for path in paths if (value := fields.value(row, path)) is not UNSET}


def _only(given: dict[FieldPath, Json], what: str, path: str) -> tuple[FieldPath | None, Json]:
    """Return the one field that is given, with its value; None without.

    Raises:
        InvalidRecordError: There are several.
    """
    if len(given) > 1:
        names = [show_path(at) for at in given]
        options = " or ".join(f"--map {what}={name}" for name in names)
        raise InvalidRecordError(path, f"one field for the {what} (say which: {options})", " and ".join(names))
    return next(iter(given.items()), (None, None))


def _number(value: Json, path: str) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidRecordError(path, "a number or null", describe_value(value))
    try:
        score = float(value)
    except OverflowError:
        score = math.inf
    if not math.isfinite(score):
        found = "NaN" if math.isnan(score) else "a number too large for double precision"
        raise InvalidRecordError(path, "a number or null", found)
    return score


@lru_cache(maxsize=64)  # mostly all rows have the same tools
def _schemas(text: bytes, path: str) -> list[str] | None:
    try:
        value = parse(text)
    except ValueError as error:
        raise InvalidRecordError(path, "an array of function schemas", f"text that cannot be read ({error})") from None
    return tool_schemas(value, path)
