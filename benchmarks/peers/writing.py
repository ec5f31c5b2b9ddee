"""Write records that are dicts: JSON lines, or Parquet with pyarrow in batches."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.peers.task import Task

__all__ = ["write"]

BATCH_ROWS = 1_000
WRITE_BYTES = 1 << 20


def write(records: Iterable[Any], task: Task, line: Callable[[Any], bytes]) -> None:
    """Write records to the output of a task.

    Args:
        records: The records.
        task: Where to, and what the records are.
        line: Encodes a record with a line feed.
    """
    if task.parquet:
        _write_parquet(iter(records), task)
        return
    with task.output.open("wb", buffering=WRITE_BYTES) as file:
        file.writelines(map(line, records))


def _write_parquet(records: Iterable[Any], task: Task) -> None:
    import pyarrow as pa  # noqa: PLC0415 - a script that writes lines would not load it
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    function = pa.struct({"name": pa.string(), "arguments": pa.string()})
    call = pa.struct({"id": pa.string(), "type": pa.string(), "function": function})
    message = {"role": pa.string(), "content": pa.string(), "tool_calls": pa.list_(call)}
    if task.record == "trl":
        message |= {"tool_call_id": pa.string(), "name": pa.string()}
    metadata = {"case_id": pa.string(), "score": pa.float64(), "model_id": pa.string(), "turns": pa.int64()}
    schema = pa.schema({"messages": pa.list_(pa.struct(message)), "metadata": pa.struct(metadata)})
    with pq.ParquetWriter(task.output, schema, compression="zstd") as writer:
        while batch := list(islice(records, BATCH_ROWS)):
            writer.write_table(pa.Table.from_pylist(batch, schema))
