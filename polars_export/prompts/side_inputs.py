"""Read what is known of the cases beside their runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.prompts.eval_sets import read_prompts
from polars_export.prompts.find import eval_sets_of
from polars_export.prompts.join import SideInputs
from polars_export.prompts.tools import read_tools

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.sources.find import Sources

__all__ = ["load_prompts", "load_side_inputs"]


def load_side_inputs(sets: Sources, options: ExportOptions) -> SideInputs:
    """Return the prompts of eval sets and the tools of an export whose records hold such.

    Raises:
        InputError: A file that names them cannot be used.
    """
    tools = read_tools(options.tools) if options.tools else None
    return SideInputs(read_prompts(sets), tools)


def load_prompts(sources: Sources, prompts: Sources) -> SideInputs | None:
    """Return the eval sets given, else those of the eval stores among the sources; None if there are none.

    Raises:
        InputError: An eval set cannot be used.
    """
    given = eval_sets_of(sources, prompts)
    return SideInputs(read_prompts(given)) if given else None
