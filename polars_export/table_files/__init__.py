"""Stored tables: Parquet files of `traces` and of `turns`, found, cut by row groups, read and written in step."""
