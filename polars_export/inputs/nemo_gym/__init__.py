"""NeMo Gym's rollouts: lines with the request, the response as items of OpenAI's Responses, and the reward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.inputs.dialect import Dialect, Match
from polars_export.inputs.nemo_gym.rollout import Rollout, understand
from polars_export.inputs.record_decoder import RecordDecoder

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from polars_export.inputs.decoding import Decoder
    from polars_export.tables.projection import Projection

__all__ = ["DIALECT"]

_MATCH = Match("nemo-gym")


class NemoGym(Dialect):
    """Rollouts of NeMo Gym."""

    name = "nemo-gym"
    expected = "a rollout of NeMo Gym (`responses_create_params` and `reward`)"
    markers = (b'"responses_create_params"',)

    def matches_keys(self, keys: AbstractSet[str], /) -> Match | None:
        """Return whether a line is a rollout: a task alone has neither response nor reward."""
        return _MATCH if "responses_create_params" in keys and {"response", "reward"} & keys else None

    def has_own_keys(self, keys: AbstractSet[str], /) -> bool:
        """Return whether broken JSON with these keys is a damaged rollout."""
        return "responses_create_params" in keys

    def describe_other(self, keys: AbstractSet[str], /) -> str | None:
        """Name tasks that nobody has run."""
        if "responses_create_params" in keys:
            return "tasks of NeMo Gym hold no traces; export the rollouts"
        return None

    def decoder(self, _match: Match, projection: Projection, /, *, sort_arguments: bool) -> Decoder:
        """Return what decodes rollouts."""
        return RecordDecoder(Rollout, understand, projection, sort_arguments=sort_arguments)


DIALECT = NemoGym()
