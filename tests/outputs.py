"""Write records to an output as an export does: cut into blocks, part by part."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from polars_export.errors import OutputError
from polars_export.writers import DatasetWriter, file_type_of, open_output
from polars_export.writers.blocks import BLOCK_BYTES, BlockWriter, Encoding
from polars_export.writers.file_assembler import blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from os import PathLike

    import pyarrow as pa

    from polars_export.writers import Output, Plan
    from polars_export.writers.dataset_repository import Shard

__all__ = ["Records", "open_records"]


class Records:
    """Takes records, and hands them to an output as the blocks of a part."""

    def __init__(self, opened: Output, encoding: Encoding, output: str) -> None:
        self._opened = opened
        self._encoding = encoding
        self._output = output
        self._parts = 0
        self._start_part()

    def write(self, split: str, records: pa.Table) -> None:
        self._blocks.write(split, records)

    def next_part(self) -> None:
        """Hand over what there is; the records that follow are another part."""
        self._blocks.close()
        self._opened.writer.add(blocks_of(self._path, self._blocks.blocks))
        self._start_part()

    def finish(self) -> tuple[Shard, ...]:
        assert isinstance(self._opened.writer, DatasetWriter)
        self.next_part()
        return self._opened.writer.finish()

    def add_file(self, name: str, text: str) -> None:
        assert isinstance(self._opened.writer, DatasetWriter)
        self._opened.writer.add_file(name, text)

    def close(self) -> None:
        with suppress(OutputError, ValueError):  # it may be closed already
            self._blocks.close()

    def _start_part(self) -> None:
        self._path = self._opened.parts / f"{self._parts:06d}"
        self._parts += 1
        self._blocks = BlockWriter(self._path, self._encoding, self._output)


@contextmanager
def open_records(
    output: str | PathLike[str],
    schema: pa.Schema,
    plan: Plan | None = None,
    *,
    absent: Sequence[str] = (),
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Records]:
    """Open an output: with a plan a dataset repository, else a file."""
    encoding = Encoding(
        schema,
        tuple(absent),
        plan.file_type if plan else file_type_of(str(output)),
        for_hub=plan is not None,
        block_bytes=min(block_bytes, plan.max_shard_bytes) if plan else block_bytes,
    )
    with open_output(str(output), plan) as opened:
        records = Records(opened, encoding, str(output))
        try:
            yield records
            records.next_part()
        finally:
            records.close()
