"""Write records: as JSON lines, plain or compressed, or as Parquet; outputs appear whole or not at all.

Whoever has records cuts them into blocks, encoded (`writers.blocks`). What is here puts blocks into files, and needs
neither Polars nor pyarrow, so that a process that only hands out work starts fast.
"""

from polars_export.writers.dataset_repository import DatasetWriter, Plan
from polars_export.writers.output import STDOUT, Output, check_output, file_type_of, open_output, rejects_path

__all__ = [
    "STDOUT",
    "DatasetWriter",
    "Output",
    "Plan",
    "check_output",
    "file_type_of",
    "open_output",
    "rejects_path",
]
