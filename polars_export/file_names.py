"""What stands beside an output, by its name: writers make it, and a search for sources knows it again."""

__all__ = ["REJECTS", "WORK_DIR_PREFIX"]

REJECTS = "rejects.jsonl"
"""What the file of the records that cannot be used is called: it lies beside a file, or in a directory."""

WORK_DIR_PREFIX = ".polars-export-"
"""What the name of a directory begins with in which an output grows."""
