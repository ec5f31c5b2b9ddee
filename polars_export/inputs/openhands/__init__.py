"""OpenHands' evaluations: `output.jsonl`, a line of events for each instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.inputs.dialect import Dialect, Match
from polars_export.inputs.openhands.instance import Instance, understand
from polars_export.inputs.openhands.reports import accompanies_output
from polars_export.inputs.record_decoder import RecordDecoder

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from polars_export.inputs.decoding import Decoder
    from polars_export.json_values import Json
    from polars_export.tables.projection import Projection

__all__ = ["DIALECT"]

_MATCH = Match("openhands")


class OpenHands(Dialect):
    """Instances with their histories of events."""

    name = "openhands"
    expected = "an instance of OpenHands (`instance_id` and `history`)"
    markers = (b'"instance_id"',)

    def matches_keys(self, keys: AbstractSet[str], /) -> Match | None:
        """Return whether a line is an instance with a history and the result of its tests."""
        return _MATCH if {"instance_id", "history", "test_result"} <= keys else None

    def matches_record(self, record: Json, /) -> Match | None:
        """Return whether a line is an instance of whose history something is an event."""
        if not isinstance(record, dict) or "instance_id" not in record:
            return None
        history = record.get("history")
        entries = history if isinstance(history, list) else []
        events = [event for entry in entries for event in (entry if isinstance(entry, list) else [entry])]
        is_event = any(isinstance(event, dict) and {"action", "observation"} & event.keys() for event in events)
        return _MATCH if is_event or self.matches_keys(record.keys()) else None

    def has_own_keys(self, keys: AbstractSet[str], /) -> bool:
        """Return whether broken JSON with these keys is a damaged instance."""
        return {"instance_id", "test_result"} <= keys

    def accompanies(self, path: str, keys: AbstractSet[str], /) -> bool:
        """Return whether a file is an evaluation, or the configuration, of an output beside it."""
        return accompanies_output(path, keys)

    def decoder(self, _match: Match, projection: Projection, /, *, sort_arguments: bool) -> Decoder:
        """Return what decodes instances."""
        return RecordDecoder(Instance, understand, projection, sort_arguments=sort_arguments)


DIALECT = OpenHands()
