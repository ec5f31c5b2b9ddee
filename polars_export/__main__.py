"""`python -m polars_export` is `polars-export`."""

from polars_export.cli import run

run()
