"""The rules that the options of an export ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from polars_export.choices import MissingPrompt
from polars_export.selection.pairs import BestWorstPairs
from polars_export.selection.prompted import Prompted
from polars_export.selection.rule import Scope
from polars_export.selection.threshold import Threshold
from polars_export.targets import Unit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from polars_export.options import ExportOptions
    from polars_export.selection.rule import Rule

__all__ = ["Rules", "columns_of", "rules_of"]


class Rules(NamedTuple):
    """The rules of an export, in the order in which a trace meets them.

    Attributes:
        each: Rules that look at each trace as it is read.
        prompted: Rules that look at each trace once its prompts are joined.
        across: Rules that look across traces.
    """

    each: tuple[Rule, ...]
    prompted: tuple[Rule, ...]
    across: tuple[Rule, ...]


def rules_of(options: ExportOptions) -> Rules:
    """Return the rules that options ask for, and those that they bring."""
    each: list[Rule] = []
    if options.quality_threshold is not None:
        each.append(Threshold(options.quality_threshold, single_precision=options.target.single_precision))
    each += (rule for rule in options.rules if rule.scope is Scope.TRACE)
    prompted: list[Rule] = []
    if options.target.joins_prompts:
        prompted.append(Prompted(keep_without=options.missing_prompt is MissingPrompt.KEEP))
    across: list[Rule] = [rule for rule in options.rules if rule.scope is not Scope.TRACE]
    if options.unit is Unit.PAIR:
        across.append(BestWorstPairs(options.min_margin, allow_ties=not options.target.pairs_need_margin))
    return Rules(tuple(each), tuple(prompted), tuple(across))


def columns_of(rules: Iterable[Rule]) -> list[str]:
    """Return the columns of `traces` that rules look at."""
    return list(dict.fromkeys(name for rule in rules for name in rule.columns))
