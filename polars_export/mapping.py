"""Which field of a row is what: a mapping of the user's own, from options, from a TOML file, or from Python."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from polars_export.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Constant", "Extra", "FieldPath", "MappingSource", "RowMapping", "VerdictValues", "mapping_of", "show_path"]

FieldPath: TypeAlias = tuple[str, ...]
"""The keys that lead from a row to a value."""

ExtraType: TypeAlias = Literal["text", "number", "boolean"]
Scalar: TypeAlias = str | int | float | bool

MappingSource: TypeAlias = (
    "RowMapping | Mapping[str, Any] | str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | Callable[..., Any]"
)
"""What a mapping can be given as, see `mapping_of`."""

_KEY = re.compile(r'"((?:[^"\\]|\\.)*)"|([^".\[\]]+)')
_TYPES = ("text", "number", "boolean")
_SOURCES = ("case", "eval_set", "run", "model", "system", "tools", "error", "score", "metrics")
_MESSAGE_KEYS = ("role", "content", "tool_calls", "reasoning", "tool_call_id", "name")
_ROLES = ("system", "user", "assistant", "tool")
_KNOWN = ("each", "messages", "verdict", *_SOURCES, "python", "extra", "message", "roles")


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is the same for all rows."""

    value: str


@dataclass(frozen=True, slots=True)
class VerdictValues:
    """Which values of a field are the verdict `pass`, and which `fail`."""

    passing: tuple[Scalar, ...] = (True, 1, "pass")
    failing: tuple[Scalar, ...] = (False, 0, "fail")


@dataclass(frozen=True, slots=True)
class Extra:
    """A column of the user's own: where its values stand and what they are."""

    path: FieldPath
    type: ExtraType = "text"


@dataclass(frozen=True, slots=True)
class RowMapping:
    """What the fields of a row are; a key that is not given is recognised where it is unmistakable.

    Attributes:
        each: The array of a document that holds the rows; None where these are lines, elements of an array, or the rows
            of a table.
        messages: Where the messages stand; those of several fields follow one another.
        fields: The paths of `case`, `eval_set`, `run`, `model`, `system`, `tools`, `error`, `score` and `metrics`, or
            the constants in their place.
        verdict: Where the verdict stands.
        verdict_values: What its values mean.
        extra: The columns of the user's own, by name.
        all_extra: Whether all fields that nothing else took are such columns too.
        message: Other names of the fields of a message.
        roles: Other names of roles.
        python: A function that returns a row with `messages` for a row, as `module:function`.
    """

    each: FieldPath | None = None
    messages: tuple[FieldPath, ...] = ()
    fields: tuple[tuple[str, FieldPath | Constant], ...] = ()
    verdict: FieldPath | None = None
    verdict_values: VerdictValues = field(default_factory=VerdictValues)
    extra: tuple[tuple[str, Extra], ...] = ()
    all_extra: bool = False
    message: tuple[tuple[str, str], ...] = ()
    roles: tuple[tuple[str, str], ...] = ()
    python: str | None = None

    def of(self, key: str) -> FieldPath | Constant | None:
        """Return where the value of a key stands, None if that was not said."""
        return dict(self.fields).get(key)


def show_path(path: FieldPath) -> str:
    """Return a path as a user types it."""
    return ".".join(key if re.fullmatch(r'[^".\[\]]+', key) else f'"{key}"' for key in path)


def mapping_of(option: str, value: object) -> RowMapping | None:
    """Return the mapping that a user gives; None for none.

    Args:
        option: The name of the option, for errors.
        value: A mapping as in a TOML file; the path of such a file; texts `KEY=PATH` or paths of TOML files, of which
            the later ones win; a function, which must be found by its module and name; or a `RowMapping`.

    Raises:
        OptionError: A key or a path is not understood, or a file cannot be read.
    """
    if value is None or isinstance(value, RowMapping):
        return value
    if isinstance(value, Mapping):
        return _from_table(option, value)
    if callable(value):
        return RowMapping(python=_name_of(option, value))
    texts = [value] if isinstance(value, str | os.PathLike) else value
    if not isinstance(texts, Iterable):
        raise OptionError(option, f"expected KEY=PATH, a TOML file or a mapping, found {value!r}")
    table: dict[str, Any] = {}
    for text in texts:
        _merge(table, _read_file(option, text) if _is_file(text) else _from_text(option, text))
    return _from_table(option, table) if table else None


def _is_file(text: object) -> bool:
    return isinstance(text, os.PathLike) or (isinstance(text, str) and text.endswith(".toml") and "=" not in text)


def _read_file(option: str, name: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(option, f"{name}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(option, f"{name}: expected TOML ({error})") from None


def _from_text(option: str, text: object) -> dict[str, Any]:
    """Return the table of a text such as `extra.difficulty=meta.difficulty`."""
    key, equals, path = text.partition("=") if isinstance(text, str) else ("", "", "")
    if not equals or not key or not path:
        raise OptionError(option, f"expected KEY=PATH or a TOML file, found {text!r}")
    group, dot, name = key.partition(".")
    value: object = path.split(",") if key == "messages" and "," in path else path
    if not dot:
        return {"extra": {"*": True}} if (key, path) == ("extra", "*") else {key: value}
    return {group: {name: value}}


def _merge(table: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(table.get(key), dict):
            table[key] = {**table[key], **value}
        else:
            table[key] = value


def _from_table(option: str, table: Mapping[str, Any]) -> RowMapping:
    for key in table:
        if key not in _KNOWN:
            close = get_close_matches(str(key), _KNOWN, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise OptionError(option, f"expected one of {', '.join(_KNOWN)}, found {key!r}{hint}")
    messages = table.get("messages", [])
    mapping = RowMapping(
        each=_each(option, table["each"]) if "each" in table else None,
        messages=tuple(_path(option, "messages", path) for path in _as_list(messages)),
        fields=tuple((key, _source(option, key, table[key])) for key in _SOURCES if key in table),
        message=_names(option, "message", table.get("message", {}), _MESSAGE_KEYS, in_keys=True),
        roles=_names(option, "roles", table.get("roles", {}), _ROLES, in_keys=False),
        python=_python(option, table["python"]) if "python" in table else None,
    )
    return _with_extra(option, _with_verdict(option, mapping, table), table)


def _with_verdict(option: str, mapping: RowMapping, table: Mapping[str, Any]) -> RowMapping:
    if "verdict" not in table:
        return mapping
    value = table["verdict"]
    if not isinstance(value, Mapping):
        return replace(mapping, verdict=_path(option, "verdict", value))
    if unknown := sorted(set(value) - {"path", "pass", "fail"}):
        raise OptionError(option, f"verdict: expected path, pass and fail, found {unknown[0]!r}")
    known = {key: tuple(_as_list(value[key])) for key in ("pass", "fail") if key in value}
    values = VerdictValues(known.get("pass", ()), known.get("fail", ())) if known else VerdictValues()
    return replace(mapping, verdict=_path(option, "verdict.path", value.get("path")), verdict_values=values)


def _with_extra(option: str, mapping: RowMapping, table: Mapping[str, Any]) -> RowMapping:
    given = table.get("extra", {})
    if given == "*":
        given = {"*": True}
    if not isinstance(given, Mapping):
        raise OptionError(option, f"extra: expected names and paths, found {given!r}")
    columns: list[tuple[str, Extra]] = []
    for name, value in given.items():
        if name == "*":
            continue
        of_type = value.get("type", "text") if isinstance(value, Mapping) else "text"
        if of_type not in _TYPES:
            raise OptionError(option, f"extra.{name}: expected the type {', '.join(_TYPES)}, found {of_type!r}")
        path = value.get("path") if isinstance(value, Mapping) else value
        columns.append((name, Extra(_path(option, f"extra.{name}", path), cast("ExtraType", of_type))))
    return replace(mapping, extra=tuple(columns), all_extra="*" in given)


def _names(
    option: str, key: str, given: object, known: tuple[str, ...], *, in_keys: bool
) -> tuple[tuple[str, str], ...]:
    """Return other names as pairs of keys and values; what they stand for is in the keys or in the values."""
    if not isinstance(given, Mapping):
        raise OptionError(option, f"{key}: expected names, found {given!r}")
    for name, value in given.items():
        meant = name if in_keys else value
        if not isinstance(value, str) or meant not in known:
            raise OptionError(option, f"{key}.{name}: expected one of {', '.join(known)}, found {meant!r}")
    return tuple((str(name), value) for name, value in given.items())


def _source(option: str, key: str, value: object) -> FieldPath | Constant:
    if isinstance(value, Mapping):
        if set(value) == {"const"}:
            return Constant(str(value["const"]))
        value = value.get("path")
    return _path(option, key, value)


def _each(option: str, value: object) -> FieldPath:
    text = value if isinstance(value, str) else ""
    if not text.endswith("[*]") or "[*]" in text[:-3]:
        raise OptionError(option, f"each: expected a path that ends in [*], such as simulations[*]; found {value!r}")
    return _path(option, "each", text[:-3]) if text != "[*]" else ()


def _path(option: str, key: str, value: object) -> FieldPath:
    """Return the keys of a dotted path; a key with dots stands in quotes."""
    keys: list[str] = []
    at = 0
    text = value if isinstance(value, str) else ""
    while match := _KEY.match(text, at):
        keys.append(match[2] if match[1] is None else re.sub(r"\\(.)", r"\1", match[1]))
        at = match.end()
        if at < len(text) and text[at] == ".":
            at += 1
        else:
            break
    if not keys or at != len(text) or text.endswith("."):
        raise OptionError(option, f"{key}: expected a path such as meta.difficulty, found {value!r}")
    return tuple(keys)


def _python(option: str, value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[\w.]+:[\w.]+", value):
        raise OptionError(option, f"python: expected module:function, found {value!r}")
    return value


def _name_of(option: str, function: Callable[..., object]) -> str:
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "<")
    if not module or "<" in name:
        raise OptionError(option, "expected a function that other processes can import, found one without a name")
    return f"{module}:{name}"


def _as_list(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
