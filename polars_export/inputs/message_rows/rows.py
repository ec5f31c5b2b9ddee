"""Rows as typed records: their fields, and what is needed of their messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import UNSET, Raw, Struct, defstruct, field

from polars_export.mapping import Constant
from polars_export.messages.json_text import from_text
from polars_export.messages.records import Message
from polars_export.tables.projection import Projection

if TYPE_CHECKING:
    from polars_export.json_values import Json
    from polars_export.mapping import FieldPath, RowMapping

__all__ = ["OWN_FIELDS", "MessageOutline", "RowFields", "lookup"]

_RECOGNISED: dict[str, tuple[str, ...]] = {
    "case": ("task_id", "instance_id", "example_id", "prompt_id"),
    "run": ("trial", "run_id"),
    "score": ("score", "reward"),
    "model": ("model",),
    "tools": ("tools",),
}
OWN_FIELDS = frozenset(name for names in _RECOGNISED.values() for name in names)
"""The fields of a row that mean something without a mapping, beside the one with its messages."""

_BY_PROJECTION = {
    Projection.SELECTION: ("case", "eval_set", "score", "metrics"),
    Projection.CONVERSATIONS: ("run", "model", "tools", "system"),
    Projection.FULL: ("error",),
}


class MessageOutline(Struct, gc=False):
    """A message with what is needed to count turns and users' messages."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Raw = Raw(b"null")
    tool_calls: Raw = Raw(b"null")
    tool_call_id: str | None = None
    type: Literal["message"] | None = None
    function_call: None = None


def lookup(row: Json, path: FieldPath) -> Json:
    """Return the value to which a path leads, through objects and through JSON texts of them; None where it ends."""
    for key in path:
        value = from_text(row)
        if not isinstance(value, dict):
            return None
        row = value.get(key)
    return row


class RowFields:
    """Which fields of a row are what, at a projection.

    Attributes:
        mapping: What the user says, with the fields of the messages.
        paths: For each key where its value may stand: one place if it was said, else those that are recognised.
        is_typed: Whether rows can be decoded at once into `type`: their messages stand in a field of their own.
        type: A row with the fields that are needed.
    """

    def __init__(self, mapping: RowMapping, projection: Projection) -> None:
        self.mapping = mapping
        self.keys = {key for least, keys in _BY_PROJECTION.items() if projection >= least for key in keys}
        said = dict(mapping.fields)
        self.paths: dict[str, tuple[FieldPath | Constant, ...]] = {}
        for key in self.keys:
            if key in said:
                self.paths[key] = (said[key],)
            elif not (key == "score" and "metrics" in said):
                self.paths[key] = tuple((name,) for name in _RECOGNISED.get(key, ()) if not self._is_taken(name))
        has_spelling = mapping.message or mapping.roles or mapping.python
        is_field = len(mapping.messages) == 1 and len(mapping.messages[0]) == 1
        self.has_extra = projection is Projection.FULL and bool(mapping.extra or mapping.all_extra)
        self.is_typed = is_field and not has_spelling and not (self.has_extra and mapping.all_extra)
        self._attributes = {name: f"field_{number}" for number, name in enumerate(self.names())}
        self.type = self._make_type(projection) if self.is_typed else Struct

    def _is_taken(self, name: str) -> bool:
        """Return whether the user says that a field is something else."""
        mapping = self.mapping
        taken = [*mapping.messages, *(path for _, path in mapping.fields if not isinstance(path, Constant))]
        return (name,) in taken or mapping.verdict == (name,)

    def names(self) -> tuple[str, ...]:
        """Return the fields of a row that are needed."""
        paths = [path for those in self.paths.values() for path in those if not isinstance(path, Constant)]
        if self.mapping.verdict:
            paths.append(self.mapping.verdict)
        if self.has_extra:
            paths += [extra.path for _, extra in self.mapping.extra]
        return tuple(dict.fromkeys(path[0] for path in (*self.mapping.messages, *paths)))

    def value(self, row: Json, path: FieldPath) -> Json:
        """Return the value to which a path leads from a typed row or an object; UNSET where the field is not there."""
        top = row.get(path[0], UNSET) if isinstance(row, dict) else getattr(row, self._attributes[path[0]])
        if len(path) == 1 or top is UNSET:
            return top
        return lookup(top, path[1:])

    def messages(self, row: Json) -> Any:  # noqa: ANN401 - a list of messages or outlines
        """Return the messages of a typed row."""
        return getattr(row, self._attributes[self.mapping.messages[0][0]])

    def _make_type(self, projection: Projection) -> type[Struct]:
        message = MessageOutline if projection is Projection.SELECTION else Message
        types: dict[str, Any] = {self.mapping.messages[0][0]: list[message]}  # type: ignore[valid-type]
        if (paths := self.paths.get("tools")) and not isinstance(paths[0], Constant) and len(paths[0]) == 1:
            types[paths[0][0]] = Raw
        fields = []
        for name, attribute in self._attributes.items():
            is_messages = name == self.mapping.messages[0][0]
            default = field(name=name) if is_messages else field(default=UNSET, name=name)
            fields.append((attribute, types.get(name, Any), default))
        return defstruct("Row", fields, kw_only=True, gc=False)
