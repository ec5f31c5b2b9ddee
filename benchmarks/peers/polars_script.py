"""Polars alone: `scan_ndjson` with an explicit schema, expressions, and a sink.

Tool-call arguments are read as text, which keeps the order and the spacing of the source. There is no such way for
results documents: `read_json` refuses an object where a string is expected.
"""

from __future__ import annotations

import polars as pl

from benchmarks.peers.task import Task

CONTENT = pl.List(pl.Struct({"text": pl.String}))
SOURCE_CALL = pl.Struct({"id": pl.String, "name": pl.String, "arguments": pl.String})
TURN: dict[str, pl.DataType] = {
    "turn_index": pl.Int64(),
    "assistant_message": pl.Struct({"content": CONTENT}),
    "tool_calls": pl.List(SOURCE_CALL),
}
RESULTS: dict[str, pl.DataType] = {"tool_results": pl.List(pl.Struct({"tool_call_id": pl.String, "content": CONTENT}))}
METRICS = pl.List(pl.Struct({"score": pl.Struct({"value": pl.Float64})}))
FUNCTION = pl.Struct({"name": pl.String, "arguments": pl.String})
CALLS = pl.List(pl.Struct({"id": pl.String, "type": pl.String, "function": FUNCTION}))
CASES = pl.List(pl.Struct({"id": pl.String, "system_prompt": pl.String, "user_messages": pl.List(pl.String)}))


def _traces(task: Task) -> pl.LazyFrame:
    """Return the traces that qualify."""
    turn = pl.Struct(TURN | (RESULTS if task.record == "trl" else {}))
    model = pl.Struct({"model_id": pl.String})
    source = pl.Struct({"turns": pl.List(turn), "final_response": pl.String, "model": model})
    schema = pl.Schema({"case_id": pl.String(), "invocation": source, "metric_results": METRICS})
    invocation = pl.col("invocation").struct
    turns = invocation.field("turns")
    values = pl.col("metric_results").list.eval(pl.element().struct.field("score").struct.field("value"))
    traces = pl.scan_ndjson(task.source, schema=schema).select(
        "case_id",
        score=values.list.mean().fill_null(0.0),
        model_id=invocation.field("model").struct.field("model_id"),
        final=invocation.field("final_response"),
        turns=turns,
    )
    return traces.filter(pl.col("score") >= task.threshold) if task.threshold > 0 else traces


def _metadata() -> pl.Expr:
    return pl.struct("case_id", "score", "model_id", turns=pl.col("turns").list.len().cast(pl.Int64))


def _spoken(content: pl.Expr) -> pl.Expr:
    return content.list.eval(pl.element().struct.field("text")).list.join("", ignore_nulls=True)


def _said(turn: pl.Expr) -> pl.Expr:
    return _spoken(turn.struct.field("assistant_message").struct.field("content"))


def _calls(turn: pl.Expr) -> pl.Expr:
    field = pl.element().struct.field
    function = pl.struct(name=field("name"), arguments=field("arguments"))
    calls = turn.struct.field("tool_calls")
    call = pl.struct(id=field("id"), type=pl.lit("function"), function=function)
    return pl.when(calls.list.len() > 0).then(calls.list.eval(call))


def _message(role: str, content: pl.Expr, calls: pl.Expr | None = None) -> pl.Expr:
    calls = pl.lit(None, dtype=CALLS) if calls is None else calls
    return pl.struct(role=pl.lit(role), content=content, tool_calls=calls)


def _chatml(traces: pl.LazyFrame) -> pl.LazyFrame:
    turns, final = pl.col("turns"), pl.col("final")
    last = turns.list.last()
    filled = pl.when((_said(last) == "") & final.is_not_null()).then(final).otherwise(_said(last))
    messages = pl.concat_list(
        _message("system", pl.lit("")),
        _message("user", pl.lit("")),
        turns.list.head(turns.list.len() - 1).list.eval(
            _message("assistant", _said(pl.element()), _calls(pl.element()))
        ),
        _message("assistant", filled, _calls(last)),
    )
    return traces.select("case_id", "score", messages=messages, metadata=_metadata())


def _pairs(traces: pl.LazyFrame) -> pl.LazyFrame:
    held = _chatml(traces).collect()
    score, number = pl.col("score"), pl.col("number")
    pairs = (
        held.lazy()
        .select("case_id", "score")
        .with_row_index("number")
        .group_by("case_id", maintain_order=True)
        .agg(
            pl.len(),
            chosen=number.filter(score == score.max()).first(),
            rejected=number.filter(score == score.min()).last(),
        )
        .filter(pl.col("len") > 1)
        .collect()
    )
    sides = held.select(side=pl.struct("messages", "metadata"))["side"]
    chosen, rejected = sides.gather(pairs["chosen"]), sides.gather(pairs["rejected"])
    return pairs.lazy().select("case_id", chosen=chosen, rejected=rejected)


def _trl(task: Task) -> pl.LazyFrame:
    """Build the conversations from one row per message: a list expression cannot look up the name of a call."""
    cases = pl.read_json(task.prompts, schema={"cases": CASES}).explode("cases").unnest("cases")
    traces = _traces(task).with_row_index("trace").collect()
    traces = traces.join(cases, left_on="case_id", right_on="id", how="left", maintain_order="left")
    turns = (
        traces.lazy()
        .select("trace", "final", "turns", turn=pl.int_ranges(1, pl.col("turns").list.len() + 1))
        .explode("turns", "turn")
        .with_columns(last=pl.col("turn") == pl.col("turn").max().over("trace"))
        .unnest("turns")
        .with_columns(final=pl.col("final").fill_null(""), silent=pl.col("tool_results").list.len() == 0)
        .collect()
    )
    messages = pl.concat(
        [part.lazy() for part in (*_prompt_messages(traces), *_turn_messages(turns))], how="diagonal_relaxed"
    ).sort("trace", "turn", "part", maintain_order=True)
    message = pl.struct("role", "content", "tool_calls", "tool_call_id", "name")
    conversations = messages.group_by("trace", maintain_order=True).agg(messages=message).collect()
    return traces.lazy().select(conversations["messages"], metadata=_metadata())


def _prompt_messages(traces: pl.DataFrame) -> list[pl.DataFrame]:
    """Return the system's and the user's messages, which stand before the first turn."""
    system = traces.filter(pl.col("system_prompt") != "").select(
        "trace", turn=0, part=0, role=pl.lit("system"), content="system_prompt"
    )
    user = traces.explode("user_messages").select("trace", turn=0, part=1, role=pl.lit("user"), content="user_messages")
    return [system, user]


def _turn_messages(turns: pl.DataFrame) -> list[pl.DataFrame]:
    """Return the assistant's messages, the tools' and the final ones."""
    said = _spoken(pl.col("assistant_message").struct.field("content"))
    content = pl.when(pl.col("last") & pl.col("silent") & (said == "")).then("final").otherwise(said)
    turn = pl.struct("tool_calls")
    assistant = turns.select(
        "trace", "turn", part=0, role=pl.lit("assistant"), content=content, tool_calls=_calls(turn)
    )
    names = turns.select("trace", "turn", "tool_calls").explode("tool_calls").unnest("tool_calls")
    names = names.unique(["trace", "turn", "id"], keep="first", maintain_order=True)
    tool = (
        turns.filter(~pl.col("silent") & ~(pl.col("last") & (pl.col("final") == "")))
        .select("trace", "turn", "tool_results")
        .explode("tool_results")
        .unnest("tool_results")
        .join(
            names,
            left_on=["trace", "turn", "tool_call_id"],
            right_on=["trace", "turn", "id"],
            how="left",
            maintain_order="left",
        )
        .select(
            "trace", "turn", "tool_call_id", "name", part=1, role=pl.lit("tool"), content=_spoken(pl.col("content"))
        )
    )
    closing = turns.filter(pl.col("last") & ~pl.col("silent") & (pl.col("final") != "")).select(
        "trace", "turn", part=2, role=pl.lit("assistant"), content="final"
    )
    return [assistant, tool, closing]


def main() -> None:
    """Answer the question on the command line."""
    task = Task.from_command_line()
    if task.record == "trl":
        records = _trl(task)
    elif task.record == "dpo":
        records = _pairs(_traces(task))
    else:
        records = _chatml(_traces(task)).select("messages", "metadata")
    if task.parquet:
        records.sink_parquet(task.output, compression="zstd", row_group_size=1_000)
    else:
        records.sink_ndjson(task.output)


if __name__ == "__main__":
    main()
