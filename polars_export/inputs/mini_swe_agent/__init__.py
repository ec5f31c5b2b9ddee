"""mini-swe-agent's trajectories: a document with `messages`, `info` and `trajectory_format`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.inputs.dialect import Dialect, Match
from polars_export.inputs.mini_swe_agent.trajectory import Trajectory, understand
from polars_export.inputs.record_decoder import RecordDecoder
from polars_export.inputs.side_files import accompanies_run
from polars_export.sources.whole_document import DOCUMENT

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from polars_export.inputs.decoding import Decoder
    from polars_export.json_values import Json
    from polars_export.tables.projection import Projection

__all__ = ["DIALECT"]

_MATCH = Match("mini-swe-agent", DOCUMENT)


class MiniSweAgent(Dialect):
    """A trajectory of mini-swe-agent."""

    name = "mini-swe-agent"
    expected = "a trajectory of mini-swe-agent (`messages`, `info` and `trajectory_format`)"

    def matches_keys(self, keys: AbstractSet[str], /) -> Match | None:
        """Return whether a document has messages and says its format."""
        return _MATCH if {"messages", "trajectory_format"} <= keys else None

    def matches_record(self, record: Json, /) -> Match | None:
        """Return whether a document is of the first versions, which did not say their format."""
        info = record.get("info") if isinstance(record, dict) else None
        is_mini = isinstance(info, dict) and {"exit_status", "model_stats"} <= info.keys() and "messages" in record
        return _MATCH if is_mini else None

    def has_own_keys(self, keys: AbstractSet[str], /) -> bool:
        """Return whether broken JSON with these keys is a damaged trajectory."""
        return "trajectory_format" in keys

    def accompanies(self, path: str, keys: AbstractSet[str], /) -> bool:
        """Return whether a file is the report or the predictions of a run whose trajectories are there."""
        return accompanies_run(path, keys, (".traj.json",))

    def decoder(self, _match: Match, projection: Projection, /, *, sort_arguments: bool) -> Decoder:
        """Return what decodes trajectories."""
        return RecordDecoder(Trajectory, understand, projection, sort_arguments=sort_arguments)


DIALECT = MiniSweAgent()
