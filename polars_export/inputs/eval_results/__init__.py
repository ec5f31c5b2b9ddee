"""Eval results: results documents, case-result lines and scored-trace lines, as the eval framework writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.inputs.dialect import Dialect, Match
from polars_export.inputs.eval_results.decoder import TraceDecoder
from polars_export.sources.json_document import ArrayLayout

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from polars_export.json_values import Json
    from polars_export.tables.projection import Projection

__all__ = ["DIALECT", "LINES"]

_NAME = "eval-results"
_OWN_KEYS = {"eval_set_id", "case_id", "metric_results"}
LINES = Match(_NAME)
_DOCUMENT = Match(_NAME, ArrayLayout(("case_results",), ("eval_set_id",), "case result", needs_header=True))


class EvalResults(Dialect):
    """Results of evaluations."""

    name = _NAME
    expected = "eval results (`eval_set_id` and `case_results`) or a trace (`case_id` and `invocation`)"
    markers = (b'"invocation"',)

    def matches_keys(self, keys: AbstractSet[str], /) -> Match | None:
        """Return whether these are keys of a results document or of a trace."""
        if "case_results" in keys:
            return _DOCUMENT
        return LINES if "invocation" in keys else None

    def matches_record(self, record: Json, /) -> Match | None:
        """Return whether a line is a case result or a scored trace."""
        is_trace = isinstance(record, dict) and {"case_id", "invocation"} <= record.keys()
        return LINES if is_trace and "case_results" not in record else None

    def has_own_keys(self, keys: AbstractSet[str], /) -> bool:
        """Return whether broken JSON with these keys is a damaged document or trace."""
        return bool(keys & _OWN_KEYS)

    def describe_other(self, keys: AbstractSet[str], /) -> str | None:
        """Name what the eval framework writes beside results."""
        if {"schema_version", "cases"} <= keys:
            return "a report artifact holds no traces; export the eval results that it was made from"
        if {"id", "cases"} <= keys:
            return "an eval set holds no traces; export the results of its runs"
        return None

    def decoder(self, _match: Match, projection: Projection, /, *, sort_arguments: bool) -> TraceDecoder:
        """Return what decodes case results and scored traces."""
        return TraceDecoder(projection, sort_arguments=sort_arguments)


DIALECT = EvalResults()
