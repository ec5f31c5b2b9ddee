"""Eval sets: the system prompts and user's messages of the cases, which the records of their runs leave out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import polars as pl
import pyarrow as pa
import yaml
from msgspec import Struct

from polars_export.errors import BadRecordError, SourceError
from polars_export.json_values import describe_value, first_mismatch, parse
from polars_export.prompts.find import find_eval_set_files
from polars_export.sources.json_scan import JsonScan
from polars_export.sources.stream import ByteStream
from polars_export.sources.window import Window

if TYPE_CHECKING:
    from polars_export.sources.find import Sources

__all__ = ["PROMPTS", "read_prompts"]

Json: TypeAlias = Any
"""A decoded JSON value, or what YAML makes of the same text."""

PROMPTS = pl.Schema(
    {
        "eval_set_id": pl.String(),
        "case_id": pl.String(),
        "system_prompt": pl.String(),
        "user_messages": pl.List(pl.String()),
    }
)
"""The columns of `read_prompts`; none of them holds nulls."""

_EXPECTED = "expected an eval set (an object with `id` and `cases`)"
_TRACES = {"case_results": "a results document", "invocation": "traces"}
_OTHER_KINDS = {
    **_TRACES,
    "schema_version": "a report artifact",
    **dict.fromkeys(("messages", "conversations", "prompt", "chosen"), "the records of an export"),
}
_NAMED_KEYS = 5
_DEEPEST = 100  # levels of YAML: an eval set has four, and libyaml overflows the stack somewhere above 5,000
_LARGEST = 1 << 30  # bytes, roughly, of a YAML document whose aliases are written out
_NODE_BYTES = 64  # what a Python object takes at least


class _Case(Struct):
    """The part of a case that is read; fields with a default may be missing."""

    id: str
    system_prompt: str = ""
    user_messages: list[str] = []


class _EvalSet(Struct):
    """The part of an eval set that is read."""

    id: str
    cases: list[_Case]


def read_prompts(sources: Sources) -> pl.DataFrame:
    """Read the prompts of eval sets: files, directories and globs, JSON or YAML whatever their names.

    A directory is searched recursively for `.json`, `.yaml` and `.yml`, sorted by path; of an eval store only its
    `sets/` is searched. A file that is named in several ways is read once.

    Returns:
        One row per case, in the order of the sources and, within an eval set, of its cases. The system prompt is empty
        and the user's messages are none where the eval set does not give them.

    Raises:
        SourceError: A source is missing, empty or no eval set, a directory holds none, or two files hold one eval set.
        BadRecordError: A file is neither JSON nor plain YAML, a field has the wrong type, or a case stands twice.
    """
    rows: dict[str, list[Json]] = {name: [] for name in PROMPTS}
    file_of: dict[str, str] = {}
    for path in find_eval_set_files(sources):
        eval_set = _read_eval_set(path)
        eval_set_id = eval_set["id"]
        if eval_set_id in file_of:
            raise SourceError(path, f"eval set {eval_set_id!r} is also in {file_of[eval_set_id]}; give one of the two")
        file_of[eval_set_id] = path
        for case in eval_set["cases"]:
            rows["eval_set_id"].append(eval_set_id)
            rows["case_id"].append(case["id"])
            rows["system_prompt"].append(case.get("system_prompt", ""))
            rows["user_messages"].append(case.get("user_messages", []))
    messages = pa.array(rows.pop("user_messages"), pa.list_(pa.large_string()))  # Polars makes a column of each list
    return pl.DataFrame({**rows, "user_messages": pl.Series(messages)}, schema=PROMPTS)


def _read_eval_set(path: str) -> Json:
    """Return the eval set that a file holds, checked."""
    with ByteStream(path) as stream:
        window = Window(stream)
        _check_first_object(window)
        while window.more():
            pass
        data = bytes(window.view(len(window)))
    if not data or data.isspace():
        raise SourceError(path, "the file is empty")
    value = _parse(path, data)
    if not isinstance(value, dict):
        raise SourceError(path, f"{_EXPECTED}, found {describe_value(value)}")
    _check_kind(path, {str(key) for key in value})
    _check_fields(path, value)
    index_of: dict[str, int] = {}
    for index, case in enumerate(value["cases"]):
        first = index_of.setdefault(case["id"], index)
        if first != index:
            found = f"{describe_value(case['id'])}, which is also that of $.cases[{first}]"
            raise BadRecordError(path, None, f"$.cases[{index}].id", "an id of its own", found)
    return value


def _check_fields(path: str, value: Json) -> None:
    try:
        msgspec.convert(value, _EvalSet)  # a hundred times as fast as to look for what is wrong
    except (msgspec.ValidationError, RecursionError):
        if mismatch := first_mismatch(_EvalSet, value, "$"):
            raise BadRecordError(path, None, *mismatch) from None


def _check_first_object(window: Window) -> None:
    """Refuse JSON of another kind by its first keys: results may be too large to be held, lines are many documents."""
    scan = JsonScan(window)
    start = scan.skip_space(0)
    if scan.byte(start) != b"{":
        return
    seen: set[str] = set()
    try:
        for key, _ in scan.keys(start):
            seen.add(key)
            if key == "cases" or key in _TRACES:
                break  # what follows may be long, and is looked at when all of it is read
    except BadRecordError:
        return  # it is YAML, or what is wrong with it is said when all of it is read
    _check_kind(window.source, seen)


def _check_kind(path: str, keys: set[str]) -> None:
    """Refuse an object of another kind; one that lacks only some fields of an eval set passes."""
    if {"id", "cases"} <= keys:
        return
    kind = next((kind for key, kind in _OTHER_KINDS.items() if key in keys), None)
    if kind is None and not keys & {"id", "cases"}:
        kind = f"an object with {', '.join(sorted(keys)[:_NAMED_KEYS]) or 'no keys'}"
    if kind:
        raise SourceError(path, f"{_EXPECTED}, found {kind}")


def _parse(path: str, data: bytes) -> Json:
    if not data.lstrip().startswith((b"{", b"[")):
        return _load_yaml(path, data)
    try:
        return parse(data)
    except ValueError as not_json:
        try:
            return _load_yaml(path, data)
        except BadRecordError as not_yaml:
            found = f"text that is neither (JSON: {not_json}; YAML: {not_yaml.found})"
            raise BadRecordError(path, not_yaml.line, "$", "valid JSON or plain YAML", found) from None


def _load_yaml(path: str, data: bytes) -> Json:
    """Return the value of a YAML document; no tag of it constructs an object.

    Raises:
        BadRecordError: It is not valid, has a tag that is not plain YAML's, or is too deep or too large to be held.
    """
    try:
        _check_extent(path, data)
        return yaml.load(data, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        problem = ", ".join(part for part in (error.context, error.problem) if part)
    except yaml.YAMLError as error:
        line, problem = None, " ".join(str(error).split())
    except (ValueError, LookupError, AttributeError, ArithmeticError, TypeError) as error:
        # Numbers and dates that are none, like `!!int x`: the loader passes on what Python says of them.
        line, problem = None, f"a number, date or tagged value cannot be read: {error}"
    raise BadRecordError(path, line, "$", "plain YAML", f"text that is not ({problem})")


def _check_extent(path: str, data: bytes) -> None:
    """Refuse YAML whose nesting would overflow the loader's stack, or whose aliases multiply what they stand for."""
    size_of: dict[str | None, int] = {}  # what an anchor stands for, its aliases written out
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]
    for event in yaml.parse(data, Loader=yaml.CSafeLoader):
        match event:
            case yaml.CollectionStartEvent():
                if len(open_nodes) > _DEEPEST:
                    raise _beyond(path, event, f"more than {_DEEPEST} levels")
                size_of[event.anchor] = _LARGEST + 1  # until it ends: an alias within would have no end
                open_nodes.append((event.anchor, _NODE_BYTES))
                continue
            case yaml.CollectionEndEvent():
                anchor, size = open_nodes.pop()
            case yaml.ScalarEvent():
                anchor, size = event.anchor, _NODE_BYTES + len(event.value)
            case yaml.AliasEvent():
                anchor, size = None, size_of.get(event.anchor, 0)  # the loader complains of an unknown one
            case _:
                continue
        size_of[anchor] = size
        around, size_around = open_nodes[-1]
        open_nodes[-1] = (around, size_around + size)
        if size_around + size > _LARGEST:
            raise _beyond(path, event, f"aliases that stand for more than {_LARGEST >> 20} MB")


def _beyond(path: str, event: yaml.Event, found: str) -> BadRecordError:
    line = event.start_mark.line + 1 if event.start_mark else None
    return BadRecordError(path, line, "$", "YAML that can be held", found)
