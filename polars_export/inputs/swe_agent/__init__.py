"""SWE-agent's trajectories: `.traj` files, of which `history` is the conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.inputs.dialect import Dialect, Match
from polars_export.inputs.record_decoder import RecordDecoder
from polars_export.inputs.side_files import accompanies_run
from polars_export.inputs.swe_agent.trajectory import Trajectory, understand
from polars_export.sources.whole_document import DOCUMENT

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from polars_export.inputs.decoding import Decoder
    from polars_export.json_values import Json
    from polars_export.tables.projection import Projection

__all__ = ["DIALECT"]

_MATCH = Match("swe-agent", DOCUMENT)
_OWN_FIELDS = {"agent", "is_demo", "message_type", "thought"}


class SweAgent(Dialect):
    """A trajectory of SWE-agent."""

    name = "swe-agent"
    expected = "a trajectory of SWE-agent (`history`, `trajectory` and `info`)"

    def matches_keys(self, keys: AbstractSet[str], /) -> Match | None:
        """Return whether a document has a history and what stands beside it."""
        is_other = {"instance_id", "test_result"} & keys  # OpenHands
        return _MATCH if "history" in keys and {"trajectory", "replay_config"} & keys and not is_other else None

    def matches_record(self, record: Json, /) -> Match | None:
        """Return whether a document is a history alone."""
        history = record.get("history") if isinstance(record, dict) else None
        if not isinstance(history, list) or record.keys() - {"history", "info", "environment"}:
            return None
        return _MATCH if any(isinstance(item, dict) and _OWN_FIELDS & item.keys() for item in history) else None

    def has_own_keys(self, keys: AbstractSet[str], /) -> bool:
        """Return whether broken JSON with these keys is a damaged trajectory."""
        return {"environment", "trajectory"} <= keys

    def describe_other(self, keys: AbstractSet[str], /) -> str | None:
        """Say what a trajectory is that was written before one of several attempts was chosen."""
        if set(keys) == {"attempts"}:
            return "a run of SWE-agent of which no attempt was chosen; name the trajectory of an attempt"
        return None

    def accompanies(self, path: str, keys: AbstractSet[str], /) -> bool:
        """Return whether a file is the report or the predictions of a run whose trajectories are there."""
        return accompanies_run(path, keys, (".traj",))

    def decoder(self, _match: Match, projection: Projection, /, *, sort_arguments: bool) -> Decoder:
        """Return what decodes trajectories."""
        return RecordDecoder(Trajectory, understand, projection, sort_arguments=sort_arguments)


DIALECT = SweAgent()
