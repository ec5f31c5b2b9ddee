"""Join what invocations do not record: the prompts of their cases and the tools that the agent could call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from polars_export.errors import SourceError
from polars_export.tables.tables import Tables

if TYPE_CHECKING:
    from polars_export.prompts.tools import Tools

__all__ = ["SideInputs"]


@dataclass(frozen=True, slots=True)
class SideInputs:
    """What is known of the cases beside their runs.

    Attributes:
        prompts: One row per case of an eval set: `eval_set_id`, `case_id`, `system_prompt` and `user_messages`.
        tools: The function schemas of the eval sets, None if there are none.
    """

    prompts: pl.DataFrame
    tools: Tools | None = None

    def join(self, known: pl.DataFrame) -> pl.DataFrame:
        """Return rows of `traces` with `system_prompt` (empty without one), `user_messages` (empty) and `tools` (null).

        A trace is joined by eval set and case; one whose line names no eval set by its case alone.

        Raises:
            SourceError: A line names no eval set, and several eval sets have its case.
        """
        exact = known.join(self.prompts, on=["eval_set_id", "case_id"], how="left", maintain_order="left")
        if exact["eval_set_id"].null_count():
            exact = self._join_by_case(exact)
        return exact.with_columns(
            pl.col("system_prompt").fill_null(""),
            pl.col("user_messages").fill_null([]),
            tools=self._tools(exact["eval_set_id"]),
        )

    def attach_prompts(self, tables: Tables) -> Tables:
        """Return full tables with the prompts in their columns: the user's messages stand at a trace's first turn."""
        joined = self.join(tables.traces.drop("system_prompt"))
        asked = joined["user_messages"].gather(tables.trace_rows())
        empty = pl.lit([], dtype=pl.List(pl.String))
        turns = tables.turns.with_columns(
            user_messages=pl.when(pl.col("turn") == 0).then(asked).otherwise(empty),
        )
        return Tables(joined.select(tables.traces.columns), turns)

    def _join_by_case(self, traces: pl.DataFrame) -> pl.DataFrame:
        by_case = self.prompts.group_by("case_id").agg(
            pl.col("system_prompt", "user_messages").first().name.prefix("only_"), sets=pl.col("eval_set_id")
        )
        joined = traces.join(by_case, on="case_id", how="left", maintain_order="left")
        unnamed = pl.col("eval_set_id").is_null()
        unclear = joined.filter(unnamed & (pl.col("sets").list.len() > 1))
        if unclear.height:
            case, sets = unclear.select("case_id", "sets").row(0)
            raise SourceError(
                "prompts", f"case {case!r} is in the eval sets {', '.join(sorted(sets))}; the lines do not say in which"
            )
        return joined.with_columns(
            pl.when(unnamed).then(f"only_{name}").otherwise(name).alias(name)
            for name in ("system_prompt", "user_messages")
        ).drop("only_system_prompt", "only_user_messages", "sets")

    def _tools(self, eval_sets: pl.Series) -> pl.Series:
        if self.tools is None:
            return pl.repeat(None, len(eval_sets), dtype=pl.List(pl.String), eager=True)
        known = eval_sets.unique()
        tools = pl.DataFrame(
            {"eval_set_id": known, "tools": [self.tools.of(eval_set) for eval_set in known]},
            schema={"eval_set_id": pl.String, "tools": pl.List(pl.String)},
        )
        joined = eval_sets.to_frame("eval_set_id").join(
            tools, on="eval_set_id", how="left", nulls_equal=True, maintain_order="left"
        )
        return joined["tools"]
