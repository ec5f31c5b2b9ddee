"""Records that TRL and axolotl train on as they are."""

from polars_export.choices import Arguments
from polars_export.formats.trl.usage import usage
from polars_export.targets import Format, Target, Unit

__all__ = ["TARGET"]

TARGET = Target(
    name="trl",
    also_for=("axolotl",),
    arguments=(Arguments.OBJECT, Arguments.STRING),
    usage=usage,
    formats=(
        Format(
            name="chatml",
            module=f"{__name__}.chatml",
            summary="one conversation per trace",
            keys=("messages", "tools", "metadata"),
        ),
        Format(
            name="dpo",
            module=f"{__name__}.dpo",
            summary="the best and the worst trace of each case",
            keys=("prompt", "chosen", "rejected", "tools", "metadata"),
            unit=Unit.PAIR,
            shared_prompt=True,
        ),
        Format(
            name="kto",
            module=f"{__name__}.kto",
            summary="one labelled completion per trace",
            keys=("prompt", "completion", "label", "tools", "metadata"),
            labelled=True,
        ),
        Format(
            name="prompt-completion",
            module=f"{__name__}.prompt_completion",
            summary="one prompt and completion per trace",
            keys=("prompt", "completion", "tools", "metadata"),
        ),
    ),
)
