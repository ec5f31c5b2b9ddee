"""Records for fine-tuning at OpenAI."""

from polars_export.choices import Arguments, Reasoning
from polars_export.targets import Format, Target, Unit

__all__ = ["TARGET"]


def _usage(_format_name: str, _folder: str, _split: str) -> list[str]:
    return ["OpenAI's fine-tuning takes the JSON lines under `data/` as they are: export with `--file-type jsonl`."]


TARGET = Target(
    name="openai",
    reasoning=(Reasoning.DROP,),
    arguments=(Arguments.STRING,),
    empty_content=False,
    tool_names=False,
    whole_sides=False,
    weights=True,
    metadata=False,
    usage=_usage,
    formats=(
        Format(
            name="chatml",
            module=f"{__name__}.chatml",
            summary="one conversation per trace",
            keys=("messages", "tools"),
        ),
        Format(
            name="dpo",
            module=f"{__name__}.dpo",
            summary="the best and the worst trace of each case",
            keys=("input", "preferred_output", "non_preferred_output"),
            unit=Unit.PAIR,
            shared_prompt=True,
        ),
    ),
)
