"""Transcripts of the records that an export wrote, whatever their target and format."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

import msgspec

from polars_export.show.calls import compact
from polars_export.show.from_tables import tool_name
from polars_export.show.messages import MessageReader, without_ids
from polars_export.show.record_kinds import are_messages
from polars_export.show.transcript import Conversation, Entry, Kind, Section, not_shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from polars_export.json_values import Json

__all__ = ["record_at"]

_PAIRS = (("chosen", "rejected"), ("preferred_output", "non_preferred_output"))
_NAMES = {"case_id": "case", "model_id": "model", "kto_tag": "label"}
_OF_SIDES = ("run", "score", "model_id")
_LONGEST_FACT = 60


def record_at(record: Mapping[str, Json], place: str) -> Conversation:
    """Return the transcript of a record, which stands at a place."""
    return _Record(record).conversation(place)


class _Record:
    """A record that is taken apart; what is left in the end is shown as it is."""

    def __init__(self, record: Mapping[str, Json]) -> None:
        self._fields = {name: value for name, value in record.items() if value is not None}
        self._reader = MessageReader()
        metadata = self._fields.get("metadata")
        self._metadata = dict(self._fields.pop("metadata")) if isinstance(metadata, dict) else {}

    def conversation(self, place: str) -> Conversation:
        tools = [*self._tools()]
        opening = self._opening()
        pairs = [names for names in _PAIRS if self._fields.keys() >= {*names}]
        sections = [*self._sides(*pairs[0])] if pairs else [*self._completions()]
        facts = tuple(self._facts())
        known = tools + [Entry(Kind.FACT, name, _as_text(value)) for name, value in self._fields.items()]
        first = Section((*known, *opening))
        rest = Section(not_shown(self._reader.not_shown))
        kept = [section for section in (first, *sections, rest) if section.entries or section.title]
        return Conversation("record", facts, place, tuple(kept))

    def _facts(self) -> Iterator[str]:
        """Yield what tells the record from others: the metadata, and short values of fields."""
        eval_set = self._metadata.pop("eval_set_id", None)
        case = self._metadata.pop("case_id", None) or self._take("case_id", str)
        if case is not None:
            yield f"case {case}" if eval_set is None else f"case {eval_set}/{case}"
        if self._metadata.get("score", 0) is None:
            self._metadata["score"] = "–"  # noqa: RUF001 - as where a value is missing in tables
        short = {
            name: self._fields.pop(name)
            for name, value in list(self._fields.items())
            if not isinstance(value, (list, dict)) and len(_as_text(value)) <= _LONGEST_FACT
        }
        for name, value in (short | self._metadata).items():
            if value is not None:
                yield f"{_NAMES.get(name, name)} {_as_text(value)}"

    def _tools(self) -> Iterator[Entry]:
        tools = self._fields.pop("tools", None)
        if isinstance(tools, str):
            tools = _decoded(tools) if tools else None
        if tools:
            schemas = tools if isinstance(tools, list) else [tools]
            names = [tool_name(each if isinstance(each, str) else compact(each)) for each in schemas]
            yield Entry(Kind.FACT, "tools", ", ".join(names))

    def _opening(self) -> list[Entry]:
        """Return the entries of what the record starts with: a whole conversation, or the prompt of others."""
        entries: list[Entry] = []
        if system := self._take("system", str):
            entries.append(Entry(Kind.SYSTEM, "system", system))
        request = self._fields.get("input")
        if isinstance(request, dict) and are_messages(request.get("messages")):
            self._fields.pop("input")
            self._fields |= {f"input.{name}": value for name, value in request.items() if name != "messages"}
            if (tools := self._fields.pop("input.tools", None)) is not None:
                self._fields["tools"] = tools
                entries = [*self._tools(), *entries]
            entries += self._reader.entries(request["messages"])
        for name in ("messages", "conversations", "prompt"):
            if are_messages(self._fields.get(name)):
                entries += self._reader.entries(self._fields.pop(name))
        return entries

    def _completions(self) -> Iterator[Section]:
        """Yield what follows a prompt: one completion, or those of a group."""
        if are_messages(self._fields.get("completion")):
            yield Section(tuple(self._reader.entries(self._fields.pop("completion"))), "completion")
        completions, rewards = self._fields.get("completions"), self._fields.get("rewards")
        if not isinstance(completions, list) or not all(map(are_messages, completions)):
            return
        self._fields.pop("completions")
        known = rewards if isinstance(rewards, list) and len(rewards) == len(completions) else []
        if known:
            self._fields.pop("rewards")
        for number, completion in enumerate(completions):
            reward = f": reward {_as_text(known[number])}" if known else ""
            yield Section(tuple(self._reader.entries(completion)), f"completion {number + 1}{reward}")

    def _sides(self, *names: str) -> Iterator[Section]:
        """Yield what both sides of a pair begin with, and then what each of them goes on with."""
        taken = [self._side(name) for name in names]
        shared = _shared([messages for _, messages in taken])
        if shared:
            yield Section(tuple(self._reader.entries(taken[0][1][:shared])), f"both {' and '.join(names)}")
        for name, (known, messages) in zip(names, taken, strict=True):
            title = f"{name}: {', '.join(known)}" if known else name
            yield Section(tuple(self._reader.entries(messages[shared:])), title)

    def _side(self, name: str) -> tuple[list[str], Sequence[Json]]:
        """Take a side of a pair: what is known of it, and its messages."""
        value = self._fields.pop(name)
        own: dict[str, Json] = {}
        if isinstance(value, dict) and are_messages(value.get("messages")):
            own = dict(value.get("metadata") or {})
            if self._fields.get("case_id") == own.get("case_id"):
                own.pop("case_id", None)
            value = value["messages"]
        prefix = f"{name}_"
        for key in [key for key in self._metadata if key.startswith(prefix)]:
            own[key.removeprefix(prefix)] = self._metadata.pop(key)
        known = [f"{_NAMES.get(key, key)} {_as_text(each)}" for key, each in own.items() if each is not None]
        return known, value if isinstance(value, list) else [value]

    def _take(self, name: str, kind: type[str]) -> str | None:
        """Take the value of a field if it is of a kind."""
        return self._fields.pop(name) if isinstance(self._fields.get(name), kind) else None


def _shared(sides: Sequence[Sequence[Json]]) -> int:
    """Return how many messages sides have in common at their beginning, but for the ids of calls."""
    pairs: Iterable[tuple[Json, ...]] = zip(*sides, strict=False)
    return sum(1 for _ in takewhile(lambda pair: without_ids(pair[0]) == without_ids(pair[1]), pairs))


def _decoded(text: str) -> Json:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return text


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else compact(value)
