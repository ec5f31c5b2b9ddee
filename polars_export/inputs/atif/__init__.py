"""ATIF: trajectories in the Agent Trajectory Interchange Format, alone or in the job folders of Harbor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.inputs.atif.names import belongs_to_trial, first_part, parent_of
from polars_export.inputs.atif.records import Trajectory
from polars_export.inputs.atif.trajectories import VERSION, subagent_files, understand
from polars_export.inputs.dialect import Dialect, Match
from polars_export.inputs.record_decoder import RecordDecoder
from polars_export.messages.invalid_record import InvalidRecordError
from polars_export.sources.whole_document import DOCUMENT

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from polars_export.json_values import Json
    from polars_export.tables.projection import Projection

__all__ = ["DIALECT"]

_KEYS = frozenset({"schema_version", "agent", "steps"})


class Atif(Dialect):
    """Trajectories of versions 1.0 to 1.8."""

    name = "atif"
    expected = "an ATIF trajectory (`schema_version`, `agent` and `steps`)"
    markers = (VERSION.encode(),)

    def matches_keys(self, keys: AbstractSet[str], /) -> Match | None:
        """Return whether these are keys of a trajectory."""
        return Match(self.name, layout=DOCUMENT) if keys >= _KEYS else None

    def matches_record(self, record: Json, /) -> Match | None:
        """Return whether a line or an element of an array is a trajectory."""
        is_trajectory = isinstance(record, dict) and record.keys() >= _KEYS
        return Match(self.name) if is_trajectory and str(record["schema_version"]).startswith(VERSION) else None

    def has_own_keys(self, keys: AbstractSet[str], /) -> bool:
        """Return whether broken JSON with these keys is a damaged trajectory."""
        return keys >= {"schema_version", "session_id"} or keys >= {"schema_version", "agent"}

    def describe_other(self, keys: AbstractSet[str], /) -> str | None:
        """Name what Harbor writes beside trajectories."""
        if keys >= {"task_name", "trial_name"}:
            return "the result of a Harbor trial holds no traces; export the folder of the trial or of its job"
        if keys >= {"n_total_trials", "stats"}:
            return "the result of a Harbor job holds no traces; export the folder of the job"
        return None

    def accompanies(self, path: str, keys: AbstractSet[str], /) -> bool:
        """Return whether a file continues a trajectory, is that of a subagent, or belongs to a job or a trial."""
        if first_part(path):
            return "schema_version" in keys
        parent = parent_of(path)
        if parent and "schema_version" in keys and _names(parent, path):
            return True
        return belongs_to_trial(path, keys)

    def continued_by(self, path: str, /) -> str | None:
        """Return the first part of a trajectory, of which a file is a later one."""
        return first_part(path)

    def decoder(self, _match: Match, projection: Projection, /, *, sort_arguments: bool) -> RecordDecoder[Trajectory]:
        """Return what decodes trajectories."""
        return RecordDecoder(Trajectory, understand, projection, sort_arguments=sort_arguments)


def _names(parent: str, path: str) -> bool:
    """Return whether a trajectory names a file as that of a subagent; one that is damaged names none."""
    try:
        named = subagent_files(parent)
    except InvalidRecordError:
        return False
    return path.replace("\\", "/").rpartition("/")[2] in named


DIALECT = Atif()
