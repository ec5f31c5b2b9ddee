"""Tool calls as a person reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from polars_export.show.harmless import one_line

if TYPE_CHECKING:
    from polars_export.json_values import Json

__all__ = ["call_text", "compact"]

_LONG = 100  # characters of arguments that are easier to read one by one


def compact(value: Json) -> str:
    """Return a decoded JSON value as text."""
    try:
        return msgspec.json.encode(value).decode()
    except (msgspec.MsgspecError, ValueError, OverflowError, TypeError):
        return json.dumps(value, ensure_ascii=False, default=str)


def call_text(name: str, arguments: str) -> str:
    """Return a call with its arguments, which are JSON: on one line, or where that is long, each on a line of its own.

    Texts of several lines, such as a program to run, then stand as they are.
    """
    name = one_line(name)
    try:
        fields = msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, ValueError, RecursionError):  # no object
        return f"{name} {arguments}".rstrip()
    shown = {key: _shown(bytes(raw)) for key, raw in fields.items()}
    if len(arguments) <= _LONG and not any("\n" in text for text in shown.values()):
        return f"{name} {arguments}"
    lines = [name]
    for key, text in shown.items():
        if "\n" in text:
            lines += [f"  {one_line(key)}:", *(f"    {line}" for line in text.split("\n"))]
        else:
            lines.append(f"  {one_line(key)}: {text}")
    return "\n".join(lines)


def _shown(raw: bytes) -> str:
    """Return an argument as it is shown: a text of several lines as such, anything else as JSON."""
    text = raw.decode()
    if raw[:1] == b'"' and b"\\n" in raw:
        try:
            return msgspec.json.decode(raw, type=str)
        except (msgspec.MsgspecError, ValueError):
            return text
    return text.replace("\n", " ")  # between values, where it means nothing
