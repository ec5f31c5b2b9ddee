"""Rollouts of verifiers' environments, as evaluations and prime-rl write them: `results.jsonl`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.inputs.dialect import Dialect, Match
from polars_export.inputs.record_decoder import RecordDecoder
from polars_export.inputs.verifiers.rollout import Rollout, understand

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from polars_export.inputs.decoding import Decoder
    from polars_export.tables.projection import Projection

__all__ = ["DIALECT"]

_MATCH = Match("verifiers")


class Verifiers(Dialect):
    """Rollouts of verifiers."""

    name = "verifiers"
    expected = "a rollout of verifiers (`example_id`, `prompt` and `completion`)"
    markers = (b'"example_id"',)

    def matches_keys(self, keys: AbstractSet[str], /) -> Match | None:
        """Return whether a line is a rollout."""
        return _MATCH if {"example_id", "prompt", "completion"} <= keys else None

    def has_own_keys(self, keys: AbstractSet[str], /) -> bool:
        """Return whether broken JSON with these keys is a damaged rollout."""
        return {"example_id", "prompt"} <= keys

    def accompanies(self, path: str, keys: AbstractSet[str], /) -> bool:
        """Return whether a file describes an evaluation."""
        return path.endswith("metadata.json") and {"env_id", "model"} <= keys

    def decoder(self, _match: Match, projection: Projection, /, *, sort_arguments: bool) -> Decoder:
        """Return what decodes rollouts."""
        return RecordDecoder(Rollout, understand, projection, sort_arguments=sort_arguments)


DIALECT = Verifiers()
