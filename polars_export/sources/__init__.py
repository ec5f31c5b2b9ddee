"""Bytes: find the sources, open and decompress them, cut them into byte ranges and frame the records in them.

Nothing here knows what a record means, and nothing needs Polars or pyarrow, so that a process that only hands out work
starts fast.
"""
