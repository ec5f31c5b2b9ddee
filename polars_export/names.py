"""What stands beside an output, by its name: writers make it, and a search for sources knows it again."""

__all__ = ["REJECTS", "UNDER_WAY"]

REJECTS = "rejects.jsonl"
"""What the file of the records that cannot be used is called: it lies beside a file, or in a directory."""

UNDER_WAY = ".polars-export-"
"""What the name of a directory begins with in which an output grows."""
