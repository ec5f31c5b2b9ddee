"""Record formats: a package per target, in it one module per format with the same surface.

`schema(options)` is the Arrow schema of a record; `render(tables, options)` makes the records, with the columns of that
schema; `ABSENT` names the keys that JSON leaves out where they are null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from polars_export.formats.llamafactory import dpo as _llamafactory_dpo
from polars_export.formats.llamafactory import kto as _llamafactory_kto
from polars_export.formats.llamafactory import sharegpt as _llamafactory_sharegpt
from polars_export.formats.openai import chatml as _openai_chatml
from polars_export.formats.openai import dpo as _openai_dpo
from polars_export.formats.reference import chatml as _reference_chatml
from polars_export.formats.reference import dpo as _reference_dpo
from polars_export.formats.reference import sharegpt as _reference_sharegpt
from polars_export.formats.trl import chatml as _trl_chatml
from polars_export.formats.trl import dpo as _trl_dpo
from polars_export.formats.trl import kto as _trl_kto
from polars_export.formats.trl import prompt_completion as _trl_prompt_completion
from polars_export.options import Target, TrainingFormat

if TYPE_CHECKING:
    import pyarrow as pa

    from polars_export.formats.rendered import Rendered
    from polars_export.options import ExportOptions
    from polars_export.tables.tables import Tables

__all__ = ["RecordFormat", "record_format"]


class RecordFormat(Protocol):
    """What a module of this package offers."""

    @property
    def ABSENT(self) -> tuple[str, ...]:  # noqa: N802 - a constant of the module
        """Keys that JSON leaves out where they are null."""
        ...

    def schema(self, options: ExportOptions) -> pa.Schema:
        """Return the schema of a record."""
        ...

    def render(self, tables: Tables, options: ExportOptions) -> Rendered:
        """Return the records of some traces."""
        ...


_FORMATS: dict[Target, dict[TrainingFormat, RecordFormat]] = {
    Target.REFERENCE: {
        TrainingFormat.CHATML: _reference_chatml,
        TrainingFormat.DPO: _reference_dpo,
        TrainingFormat.SHAREGPT: _reference_sharegpt,
    },
    Target.TRL: {
        TrainingFormat.CHATML: _trl_chatml,
        TrainingFormat.DPO: _trl_dpo,
        TrainingFormat.KTO: _trl_kto,
        TrainingFormat.PROMPT_COMPLETION: _trl_prompt_completion,
    },
    Target.OPENAI: {TrainingFormat.CHATML: _openai_chatml, TrainingFormat.DPO: _openai_dpo},
    Target.LLAMAFACTORY: {
        TrainingFormat.SHAREGPT: _llamafactory_sharegpt,
        TrainingFormat.DPO: _llamafactory_dpo,
        TrainingFormat.KTO: _llamafactory_kto,
    },
}


def record_format(options: ExportOptions) -> RecordFormat:
    """Return the format that the options ask for."""
    return _FORMATS[options.target][options.format]
