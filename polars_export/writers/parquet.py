"""Records as Parquet that Hugging Face datasets loads: explicit schema, plain strings and lists, small row groups."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["encode_row_group"]

_CHUNKING = {"min_chunk_size": 256 << 10, "max_chunk_size": 1 << 20, "norm_level": 0}
"""The page boundaries of `datasets` itself: they follow the content, so that the hub stores an unchanged page once."""


def encode_row_group(records: pa.Table, schema: pa.Schema, *, for_hub: bool) -> bytes:
    """Return a Parquet file of one row group, of none without rows; it is put behind others without being decoded.

    Args:
        records: The rows; JSON may still be strings.
        schema: Their schema.
        for_hub: Whether page boundaries follow the content, which only pays where files are stored by their chunks.
    """
    buffer = pa.BufferOutputStream()
    chunking = {"use_content_defined_chunking": _CHUNKING} if for_hub else {}
    with pq.ParquetWriter(buffer, schema, compression="zstd", write_page_index=True, **chunking) as writer:
        if for_hub:
            writer.add_key_value_metadata({"content_defined_chunking": json.dumps(_CHUNKING)})
        if records.num_rows:
            writer.write_table(records.cast(schema), row_group_size=records.num_rows)
    encoded: bytes = buffer.getvalue().to_pybytes()
    return encoded
