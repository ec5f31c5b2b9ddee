"""Turn recorded agent traces into fine-tuning datasets.

Everything public is here. Names are loaded when they are first used, so that `polars-export --help` need not wait
for Polars.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polars_export.choices import TrainingFormat
    from polars_export.errors import (
        BadRecordError,
        ExportError,
        FormatNotImplementedError,
        InputError,
        MissingPromptError,
        NothingToExportError,
        OptionError,
        OutputError,
        SerializationError,
        SourceError,
        WorkerError,
    )
    from polars_export.execution.conductor import export
    from polars_export.execution.read import Batch, iter_batches, read, read_traces, read_turns
    from polars_export.execution.write_tables import write_tables
    from polars_export.input_options import InputOptions
    from polars_export.options import ExportOptions
    from polars_export.report import DropReason, ExportReport
    from polars_export.reporter import (
        Artifact,
        ChatMlExporter,
        DpoExporter,
        ScoredTrace,
        ShareGptExporter,
        TrainingExporter,
        TrainingReporter,
        export_traces,
    )
    from polars_export.selection.rule import Rule, Scope
    from polars_export.table_files.scan import LazyTables, scan_tables
    from polars_export.tables.frames import Frame, tables
    from polars_export.tables.schema import TRACES, TURNS, Column
    from polars_export.tables.tables import Tables, concat
    from polars_export.targets import Target

__version__ = "0.1.0"

_HOMES = {
    "polars_export.choices": ("TrainingFormat",),
    "polars_export.errors": (
        "BadRecordError",
        "ExportError",
        "FormatNotImplementedError",
        "InputError",
        "MissingPromptError",
        "NothingToExportError",
        "OptionError",
        "OutputError",
        "SerializationError",
        "SourceError",
        "WorkerError",
    ),
    "polars_export.input_options": ("InputOptions",),
    "polars_export.options": ("ExportOptions",),
    "polars_export.execution.conductor": ("export",),
    "polars_export.execution.read": ("Batch", "iter_batches", "read", "read_traces", "read_turns"),
    "polars_export.report": ("ExportReport", "DropReason"),
    "polars_export.reporter": (
        "Artifact",
        "ChatMlExporter",
        "DpoExporter",
        "ScoredTrace",
        "ShareGptExporter",
        "TrainingExporter",
        "TrainingReporter",
        "export_traces",
    ),
    "polars_export.selection.rule": ("Rule", "Scope"),
    "polars_export.tables.schema": ("TRACES", "TURNS", "Column"),
    "polars_export.execution.write_tables": ("write_tables",),
    "polars_export.table_files.scan": ("LazyTables", "scan_tables"),
    "polars_export.tables.frames": ("Frame",),
    "polars_export.tables.tables": ("Tables", "concat"),
    "polars_export.targets": ("Target",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "TRACES",
    "TURNS",
    "Artifact",
    "BadRecordError",
    "Batch",
    "ChatMlExporter",
    "Column",
    "DpoExporter",
    "DropReason",
    "ExportError",
    "ExportOptions",
    "ExportReport",
    "FormatNotImplementedError",
    "Frame",
    "InputError",
    "InputOptions",
    "LazyTables",
    "MissingPromptError",
    "NothingToExportError",
    "OptionError",
    "OutputError",
    "Rule",
    "Scope",
    "ScoredTrace",
    "SerializationError",
    "ShareGptExporter",
    "SourceError",
    "Tables",
    "Target",
    "TrainingExporter",
    "TrainingFormat",
    "TrainingReporter",
    "WorkerError",
    "__version__",
    "concat",
    "export",
    "export_traces",
    "iter_batches",
    "read",
    "read_traces",
    "read_turns",
    "scan_tables",
    "tables",
    "write_tables",
]


def __getattr__(name: str) -> object:
    if name == "tables":
        return import_module("polars_export.tables")  # a package that can be called: see there
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
