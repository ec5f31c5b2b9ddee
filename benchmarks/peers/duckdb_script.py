"""DuckDB SQL: `read_json` with explicit columns, list functions, and `COPY` to the output, on all cores.

Tool-call arguments keep the order of their keys.
"""

# ruff: noqa: S608 - the paths in the queries are those of the benchmark itself
from __future__ import annotations

import duckdb

from benchmarks.peers.task import Task

TURN = (
    "turn_index BIGINT, "
    "assistant_message STRUCT(content STRUCT(text VARCHAR)[]), "
    "tool_calls STRUCT(id VARCHAR, name VARCHAR, arguments JSON)[]"
)
RESULTS = ", tool_results STRUCT(tool_call_id VARCHAR, content STRUCT(text VARCHAR)[])[]"
INVOCATION = "STRUCT(turns STRUCT({turn})[], final_response VARCHAR, model STRUCT(model_id VARCHAR))"
METRICS = "STRUCT(score STRUCT(value DOUBLE))[]"

# Blocks other than text have a null text, which array_to_string passes over.
MACROS = """
CREATE MACRO mean(metrics) AS
    coalesce(list_sum(list_transform(metrics, lambda metric: metric.score.value)) / len(metrics), 0.0);
CREATE MACRO spoken(content) AS coalesce(array_to_string(list_transform(content, lambda block: block.text), ''), '');
CREATE MACRO said(content, filling) AS coalesce(nullif(spoken(content), ''), filling, '');
CREATE MACRO calls(turn) AS CASE WHEN len(turn.tool_calls) > 0 THEN list_transform(turn.tool_calls, lambda call: {
    'id': call.id, 'type': 'function', 'function': {'name': call.name, 'arguments': call.arguments::VARCHAR}
}) END;

CREATE MACRO silent(role) AS {'role': role, 'content': '', 'tool_calls': NULL};
CREATE MACRO chatml(turns, final) AS list_concat(
    CASE WHEN turns[1].turn_index = 0 THEN [silent('system'), silent('user')] ELSE [silent('system')] END,
    list_transform(turns, lambda turn, number: {
        'role': 'assistant',
        'content': said(turn.assistant_message.content, CASE WHEN number = len(turns) THEN final END),
        'tool_calls': calls(turn)
    })
);

CREATE MACRO plain(role, content) AS {
    'role': role, 'content': content, 'tool_calls': NULL, 'tool_call_id': NULL, 'name': NULL
};
CREATE MACRO answers(turn) AS list_transform(turn.tool_results, lambda result: {
    'role': 'tool',
    'content': spoken(result.content),
    'tool_calls': NULL,
    'tool_call_id': result.tool_call_id,
    'name': list_filter(turn.tool_calls, lambda call: call.id = result.tool_call_id)[1].name
});
CREATE MACRO trl(system_prompt, user_messages, turns, final) AS list_concat(
    CASE WHEN system_prompt = '' THEN [] ELSE [plain('system', system_prompt)] END,
    list_transform(user_messages, lambda message: plain('user', message)),
    flatten(list_transform(turns, lambda turn, number: list_concat(
        [{
            'role': 'assistant',
            'content': said(
                turn.assistant_message.content,
                CASE WHEN number = len(turns) AND len(turn.tool_results) = 0 THEN final END
            ),
            'tool_calls': calls(turn),
            'tool_call_id': NULL,
            'name': NULL
        }],
        CASE WHEN number < len(turns) OR final <> '' THEN answers(turn) ELSE [] END
    ))),
    CASE WHEN final <> '' AND len(turns[-1].tool_results) > 0 THEN [plain('assistant', final)] ELSE [] END
);
"""

METADATA = "{'case_id': case_id, 'score': score, 'model_id': model_id, 'turns': len(turns)}"
RECORD = f"{{'messages': chatml(turns, final), 'metadata': {METADATA}}}"


def _traces(task: Task) -> str:
    """Return the query for the traces that qualify."""
    invocation = INVOCATION.format(turn=TURN + (RESULTS if task.record == "trl" else ""))
    fields = {"case_id": "VARCHAR", "invocation": invocation, "metric_results": METRICS}
    if task.source.is_dir():
        case_results = f"STRUCT({', '.join(f'{name} {kind}' for name, kind in fields.items())})[]"
        files, columns = f"{task.source}/*.json", {"case_results": case_results}
        rows = f"SELECT unnest(case_results, recursive := false) AS c FROM read_json('{files}', columns = {columns})"
        rows = f"SELECT unnest(c) FROM ({rows})"
    else:
        rows = f"SELECT * FROM read_json('{task.source}', format = 'newline_delimited', columns = {fields})"
    traces = f"""
        SELECT
            case_id,
            invocation.turns AS turns,
            invocation.final_response AS final,
            invocation.model.model_id AS model_id,
            mean(metric_results) AS score
        FROM ({rows})
    """
    return f"SELECT * FROM ({traces}) WHERE score >= {task.threshold}" if task.threshold > 0 else traces


def _chatml(task: Task) -> str:
    return f"SELECT chatml(turns, final) AS messages, {METADATA} AS metadata FROM ({_traces(task)})"


def _trl(task: Task) -> str:
    case = "STRUCT(id VARCHAR, system_prompt VARCHAR, user_messages VARCHAR[])"
    eval_set = f"read_json('{task.prompts}', maximum_object_size = 1000000000, columns = {{'cases': '{case}[]'}})"
    numbered = f"SELECT row_number() OVER () AS number, * FROM ({_traces(task)})"  # a join does not keep the order
    return f"""
        SELECT trl(system_prompt, user_messages, turns, final) AS messages, {METADATA} AS metadata
        FROM (
            SELECT *
            FROM ({numbered}) LEFT JOIN (SELECT unnest(cases, max_depth := 2) FROM {eval_set}) AS cases ON id = case_id
            ORDER BY number
        )
    """


def _prepare_pairs(task: Task) -> str:
    """Return the statements that choose: rows of a table have numbers, those of a file would have to be counted."""
    return f"""
        CREATE TEMP TABLE traces AS {_traces(task)};
        CREATE TEMP TABLE pairs AS
            SELECT
                case_id,
                min(rowid) AS first_seen,
                arg_max(rowid, (score, -rowid)) AS chosen,
                arg_min(rowid, (score, -rowid)) AS rejected
            FROM traces
            GROUP BY case_id
            HAVING count(*) > 1;
    """


PAIRS = f"""
    SELECT pairs.case_id, best.record AS chosen, worst.record AS rejected
    FROM pairs
    JOIN (SELECT rowid, {RECORD} AS record FROM traces) AS best ON best.rowid = pairs.chosen
    JOIN (SELECT rowid, {RECORD} AS record FROM traces) AS worst ON worst.rowid = pairs.rejected
    ORDER BY first_seen
"""


def main() -> None:
    """Answer the question on the command line."""
    task = Task.from_command_line()
    connection = duckdb.connect()
    connection.execute(MACROS)
    if task.record == "dpo":
        connection.execute(_prepare_pairs(task))
        query = PAIRS
    else:
        query = _trl(task) if task.record == "trl" else _chatml(task)
    # Row groups of the least size are the fastest: more of them are compressed at a time, and fewer rows held.
    options = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 2048" if task.parquet else "FORMAT json"
    connection.execute(f"COPY ({query}) TO '{task.output}' ({options})")


if __name__ == "__main__":
    main()
