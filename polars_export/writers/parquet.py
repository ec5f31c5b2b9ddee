"""Records as Parquet that Hugging Face datasets loads: explicit schema, plain strings and lists, small row groups."""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["ROW_GROUP_ROWS", "ParquetWriter"]

ROW_GROUP_ROWS = 1_000
"""Rows of a row group: a fixed number, so that the file does not depend on how the input was read. A thousand traces
are some ten megabytes, which is what a viewer can fetch to show one of them."""


class ParquetWriter:
    """Writes records of one schema as Parquet to a binary file."""

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(file, schema, compression="zstd", write_page_index=True)
        self._held: list[pa.Table] = []
        self._held_rows = 0

    def write(self, records: pa.Table) -> None:
        """Append records; strings may still be views."""
        self._held.append(records.cast(self._schema))
        self._held_rows += records.num_rows
        if self._held_rows >= ROW_GROUP_ROWS:
            whole = self._held_rows - self._held_rows % ROW_GROUP_ROWS
            held = pa.concat_tables(self._held)
            self._write(held.slice(0, whole))
            self._held, self._held_rows = [held.slice(whole)], self._held_rows - whole

    def close(self) -> None:
        """Write the rest and the footer; the file itself stays open."""
        if self._held_rows:
            self._write(pa.concat_tables(self._held))
        self._writer.close()

    def _write(self, records: pa.Table) -> None:
        self._writer.write_table(records, row_group_size=ROW_GROUP_ROWS)
