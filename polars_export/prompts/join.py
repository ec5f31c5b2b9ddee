"""Join what invocations do not record: the prompts of their cases and the tools that the agent could call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from polars_export.errors import SourceError
from polars_export.prompts.attach import attach_messages
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

    def count_messages(self, traces: pl.DataFrame) -> pl.DataFrame:
        """Return rows of `traces` whose `system_messages` and `user_messages` count the prompts of their cases too.

        Raises:
            SourceError: A line names no eval set, and several eval sets have its case.
        """
        return _with_counts(traces, self._prompts_of(traces))

    def attach(self, tables: Tables) -> Tables:
        """Return tables with the prompts of their cases at their places, and with tools.

        The system prompt stands before the first turn, and the k-th message of the user before the k-th turn whose
        `turn_index` is 0; what is left over stands before the last of these turns, or before the first turn where none
        has index 0. A trace without turns has all in `closing`. What the source of a trace brings itself wins.

        Raises:
            SourceError: A line names no eval set, and several eval sets have its case.
        """
        prompts = self._prompts_of(tables.traces)
        traces = self._with_tools(_with_counts(tables.traces, prompts))
        return attach_messages(Tables(traces, tables.turns), prompts)

    def _prompts_of(self, traces: pl.DataFrame) -> pl.DataFrame:
        """Return one row per trace: `system_prompt` and `user_messages`, null or empty where there is nothing to add.

        A trace is joined by eval set and case; one whose line names no eval set by its case alone.
        """
        known = traces.select("eval_set_id", "case_id", has_system="system_messages", has_user="user_messages")
        exact = known.join(self.prompts, on=["eval_set_id", "case_id"], how="left", maintain_order="left")
        if exact["eval_set_id"].null_count():
            exact = self._join_by_case(exact)
        system = pl.when(pl.col("system_prompt") != "").then("system_prompt")
        if not known.select(pl.any_horizontal(pl.col("has_system", "has_user").sum() > 0)).item():
            return exact.select(system, "user_messages")
        return exact.select(
            pl.when(pl.col("has_system") == 0).then(system).alias("system_prompt"),
            pl.when(pl.col("has_user") == 0).then("user_messages"),
        )

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

    def _with_tools(self, traces: pl.DataFrame) -> pl.DataFrame:
        """Return rows of `traces` with the tools of their eval sets, which win over those of the source."""
        if self.tools is None:
            return traces
        known = traces["eval_set_id"].unique()
        tools = pl.DataFrame(
            {"eval_set_id": known, "given": [self.tools.of(eval_set) for eval_set in known]},
            schema={"eval_set_id": pl.String, "given": pl.List(pl.String)},
        )
        joined = traces.join(tools, on="eval_set_id", how="left", nulls_equal=True, maintain_order="left")
        return joined.with_columns(tools=pl.coalesce("given", "tools")).drop("given")


def _with_counts(traces: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
    counts = prompts.select(
        system=pl.col("system_prompt").is_not_null(), user=pl.col("user_messages").list.len().fill_null(0)
    )
    return traces.with_columns(
        system_messages=traces["system_messages"] + counts["system"].cast(pl.UInt32),
        user_messages=traces["user_messages"] + counts["user"],
    )
