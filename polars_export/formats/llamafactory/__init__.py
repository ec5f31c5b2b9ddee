"""Records for LLaMA-Factory: turns in strict alternation."""

from polars_export.choices import Reasoning
from polars_export.formats.llamafactory.dataset_info import dataset_files, usage
from polars_export.targets import Format, Target, Unit

__all__ = ["TARGET"]

TARGET = Target(
    name="llamafactory",
    reasoning=(Reasoning.THINK,),
    text_beside_calls=False,
    tool_call_ids=False,
    tool_names=False,
    whole_sides=False,
    metadata=False,
    usage=usage,
    dataset_files=dataset_files,
    formats=(
        Format(
            name="sharegpt",
            module=f"{__name__}.sharegpt",
            summary="one conversation per trace",
            keys=("conversations", "system", "tools"),
        ),
        Format(
            name="dpo",
            module=f"{__name__}.dpo",
            summary="the best and the worst trace of each case",
            keys=("conversations", "chosen", "rejected", "system", "tools"),
            unit=Unit.PAIR,
            shared_prompt=True,
        ),
        Format(
            name="kto",
            module=f"{__name__}.kto",
            summary="one labelled completion per trace",
            keys=("conversations", "kto_tag", "system", "tools"),
            labelled=True,
        ),
    ),
)
