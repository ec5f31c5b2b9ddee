"""The reference's programming interface: scored traces, exporters and the training reporter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

from polars_export.choices import TrainingFormat
from polars_export.errors import BadRecordError
from polars_export.execution.in_memory import export_in_memory
from polars_export.inputs.eval_results.decoder import check_case_result
from polars_export.inputs.eval_results.objects import object_chunks
from polars_export.options import ExportOptions
from polars_export.tables.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Artifact",
    "ChatMlExporter",
    "DpoExporter",
    "ScoredTrace",
    "ShareGptExporter",
    "TraceLike",
    "TrainingExporter",
    "TrainingReporter",
    "export_traces",
]


@dataclass(frozen=True, slots=True)
class ScoredTrace:
    """A case's invocation with the score that decides on its export."""

    case_id: str
    invocation: Mapping[str, Any]
    score: float

    @classmethod
    def from_case_result(cls, case_result: Mapping[str, Any]) -> Self:
        """Score a case result: the mean of its metric values, summed from left to right, 0.0 without metrics.

        Raises:
            BadRecordError: It is not a case result.
        """
        check_case_result(case_result)
        values = [metric["score"]["value"] for metric in case_result["metric_results"]]
        total = 0.0
        for value in values:  # not `sum`, which from Python 3.12 on compensates rounding
            total += value
        score = total / len(values) if values else 0.0
        return cls(case_result["case_id"], case_result["invocation"], score)


TraceLike: TypeAlias = ScoredTrace | Mapping[str, Any]
"""A case result or scored trace as a dict, or a `ScoredTrace`."""


def export_traces(traces: Iterable[TraceLike] | Tables, options: ExportOptions | None = None) -> bytes:
    """Export case results, scored traces or tables as JSON lines.

    Args:
        traces: Case results or scored traces; or tables, of which the column `score` counts as it stands.
        options: What to export.

    Raises:
        SerializationError: A trace has no JSON form.
        BadRecordError: A trace is not what it should be.
        NothingToExportError: No trace is left to export.
    """
    if isinstance(traces, Tables):
        return export_in_memory(traces, ExportOptions.or_default(options))
    plain = (_fields(trace) if isinstance(trace, ScoredTrace) else trace for trace in traces)
    return export_in_memory(object_chunks(plain), ExportOptions.or_default(options))


def _fields(trace: ScoredTrace) -> dict[str, Any]:
    return {"case_id": trace.case_id, "invocation": trace.invocation, "score": trace.score}


class TrainingExporter(Protocol):
    """Makes JSON lines of one format from traces."""

    def export(self, traces: Iterable[TraceLike], options: ExportOptions) -> bytes:
        """Return the records of some traces; the exporter, not the options, decides on the format."""
        ...


class ChatMlExporter:
    """Exports one ChatML conversation per qualifying trace."""

    def export(self, traces: Iterable[TraceLike], options: ExportOptions) -> bytes:
        """Return the records as JSON lines; raises what `export_traces` raises."""
        return export_traces(traces, replace(options, format=TrainingFormat.CHATML))


class DpoExporter:
    """Exports the best and the worst qualifying trace of every case."""

    def export(self, traces: Iterable[TraceLike], options: ExportOptions) -> bytes:
        """Return the records as JSON lines; raises what `export_traces` raises."""
        return export_traces(traces, replace(options, format=TrainingFormat.DPO))


class ShareGptExporter:
    """Exports one ShareGPT conversation per qualifying trace."""

    def export(self, traces: Iterable[TraceLike], options: ExportOptions) -> bytes:
        """Return the records as JSON lines; raises what `export_traces` raises."""
        return export_traces(traces, replace(options, format=TrainingFormat.SHAREGPT))


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a report consists of: JSON lines, and the path that they are meant for."""

    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class TrainingReporter:
    """Renders the results of an eval set as training data, without writing anything."""

    options: ExportOptions
    path: str

    @classmethod
    def chatml_sft(cls, quality_threshold: float, path: str) -> Self:
        """Render ChatML conversations."""
        return cls(ExportOptions.chatml_sft(quality_threshold), path)

    @classmethod
    def dpo_pairs(cls, quality_threshold: float, path: str) -> Self:
        """Render preference pairs."""
        return cls(ExportOptions.dpo_pairs(quality_threshold), path)

    @classmethod
    def sharegpt(cls, path: str) -> Self:
        """Render ShareGPT conversations."""
        return cls(ExportOptions.sharegpt(), path)

    def render(self, eval_set_result: Mapping[str, Any]) -> Artifact:
        """Export the case results of a results document.

        Raises:
            BadRecordError: It is not a results document.
            SerializationError: A case result has no JSON form.
            NothingToExportError: No case result is left to export.
        """
        case_results = eval_set_result.get("case_results")
        eval_set_id = eval_set_result.get("eval_set_id")
        if not isinstance(case_results, list) or not isinstance(eval_set_id, str):
            raise BadRecordError(
                "eval set result", None, "$", "an object with `eval_set_id` and `case_results`", "another object"
            )
        return Artifact(self.path, export_in_memory(object_chunks(case_results, eval_set_id), self.options))
