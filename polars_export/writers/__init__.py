"""Write records: as JSON lines, plain or compressed, or as Parquet; into a file that appears whole or not at all."""

from polars_export.writers.jsonlines import encode
from polars_export.writers.open import Writer, check_output, open_writer

__all__ = ["Writer", "check_output", "encode", "open_writer"]
