"""The records of the reference exporter, byte for byte."""

from polars_export.choices import Arguments, Reasoning
from polars_export.tables.projection import Projection
from polars_export.targets import Format, Target, Unit

__all__ = ["TARGET"]

TARGET = Target(
    name="reference",
    reasoning=(Reasoning.DROP,),
    arguments=(Arguments.STRING,),
    joins_prompts=False,
    inputs=("eval-results",),
    quality_threshold=0.0,
    single_precision=True,
    sorted_arguments=True,
    pairs_need_margin=False,
    formats=(
        Format(
            name="chatml",
            module=f"{__name__}.chatml",
            summary="one conversation per trace",
            keys=("messages", "metadata"),
            projection=Projection.RECORDS,
            ignores=("tool results",),
        ),
        Format(
            name="dpo",
            module=f"{__name__}.dpo",
            summary="the best and the worst trace of each case",
            keys=("case_id", "chosen", "rejected"),
            unit=Unit.PAIR,
            projection=Projection.RECORDS,
            ignores=("tool results",),
        ),
        Format(
            name="sharegpt",
            module=f"{__name__}.sharegpt",
            summary="one conversation per trace",
            keys=("conversations", "metadata"),
            projection=Projection.RECORDS,
            ignores=("tool results", "tool calls"),
        ),
    ),
)
