"""Read what is known of the cases beside their runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars_export.prompting import Context
from polars_export.sources.find import eval_sets
from polars_export.sources.prompts import read_prompts
from polars_export.sources.tools import read_tools

if TYPE_CHECKING:
    from polars_export.options import ExportOptions
    from polars_export.sources import Sources

__all__ = ["context_of", "known_prompts"]


def context_of(sets: Sources, options: ExportOptions) -> Context:
    """Return the prompts of eval sets and the tools of an export whose records hold such.

    Raises:
        InputError: A file that names them cannot be used.
    """
    tools = read_tools(options.tools) if options.tools else None
    return Context(read_prompts(sets), tools)


def known_prompts(sources: Sources, prompts: Sources) -> Context | None:
    """Return the eval sets given, else those of the eval stores among the sources; None if there are none.

    Raises:
        InputError: An eval set cannot be used.
    """
    given = eval_sets(prompts, sources)
    return Context(read_prompts(given)) if given else None
