"""tau2-bench's results: a document with `simulations`, or a folder with a file for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.inputs.dialect import Dialect, Match
from polars_export.inputs.record_decoder import RecordDecoder
from polars_export.inputs.tau2.simulation import Simulation, understand
from polars_export.sources.json_document import ArrayLayout
from polars_export.sources.whole_document import DOCUMENT

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from polars_export.inputs.decoding import Decoder
    from polars_export.tables.projection import Projection

__all__ = ["DIALECT"]

_RESULTS = Match("tau2", ArrayLayout(("simulations",), ("info", "tasks"), "simulation"))
_SIMULATION = Match("tau2", DOCUMENT)
_OF_SIMULATIONS = {"task_id", "termination_reason"}


class Tau2(Dialect):
    """Simulations of tau2-bench."""

    name = "tau2"
    expected = "results of tau2-bench (`info` and `simulations`) or one of its simulations"

    def matches_keys(self, keys: AbstractSet[str], /) -> Match | None:
        """Return whether a document is results, or a simulation from a folder of them."""
        if {"info", "simulations"} <= keys and "simulation_index" not in keys:
            return _RESULTS
        return _SIMULATION if {"messages", *_OF_SIMULATIONS} <= keys or {"ticks", *_OF_SIMULATIONS} <= keys else None

    def has_own_keys(self, keys: AbstractSet[str], /) -> bool:
        """Return whether broken JSON with these keys is a damaged document."""
        return {"info", "tasks"} <= keys or keys >= _OF_SIMULATIONS

    def describe_other(self, keys: AbstractSet[str], /) -> str | None:
        """Name the index of a folder."""
        if {"simulation_index", "info"} <= keys:
            return "the simulations stand in the folder simulations beside it; name the folder that holds both"
        return None

    def accompanies(self, path: str, keys: AbstractSet[str], /) -> bool:
        """Return whether a file is the index of a folder."""
        return "results.json" in path and {"simulation_index", "info"} <= keys

    def decoder(self, _match: Match, projection: Projection, /, *, sort_arguments: bool) -> Decoder:
        """Return what decodes simulations."""
        return RecordDecoder(Simulation, understand, projection, sort_arguments=sort_arguments)


DIALECT = Tau2()
