"""Rollouts of verifiers' environments, as evaluations and prime-rl write them: `results.jsonl` and `traces.jsonl`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.inputs.dialect import Dialect, Match
from polars_export.inputs.record_decoder import MultiTraceDecoder, RecordDecoder
from polars_export.inputs.verifiers.episode import Episode, understand_episode
from polars_export.inputs.verifiers.rollout import Rollout, understand

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from polars_export.inputs.decoding import Decoder
    from polars_export.tables.projection import Projection

__all__ = ["DIALECT"]

_ROLLOUTS = Match("verifiers")
_EPISODES = Match("verifiers", settings="episodes")


class Verifiers(Dialect):
    """Rollouts of verifiers."""

    name = "verifiers"
    expected = "a rollout of verifiers (`example_id`, `prompt` and `completion`) or an episode (`traces` and `task`)"
    markers = (b'"example_id"', b'"traces"')

    def matches_keys(self, keys: AbstractSet[str], /) -> Match | None:
        """Return whether a line is a rollout, or an episode."""
        if {"example_id", "prompt", "completion"} <= keys:
            return _ROLLOUTS
        return _EPISODES if {"env", "task", "traces"} <= keys else None

    def has_own_keys(self, keys: AbstractSet[str], /) -> bool:
        """Return whether broken JSON with these keys is a damaged rollout."""
        return {"example_id", "prompt"} <= keys

    def accompanies(self, path: str, keys: AbstractSet[str], /) -> bool:
        """Return whether a file describes an evaluation."""
        return path.endswith("metadata.json") and {"env_id", "model"} <= keys

    def decoder(self, match: Match, projection: Projection, /, *, sort_arguments: bool) -> Decoder:
        """Return what decodes rollouts, or the traces of episodes."""
        if match == _EPISODES:
            return MultiTraceDecoder(Episode, understand_episode, projection, sort_arguments=sort_arguments)
        return RecordDecoder(Rollout, understand, projection, sort_arguments=sort_arguments)


DIALECT = Verifiers()
