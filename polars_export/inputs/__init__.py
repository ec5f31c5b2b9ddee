"""Dialects of recorded traces. Each is one module or package here, with the surface that `dialect.Dialect` describes.

Nobody else knows a field of a dialect. What is loaded with these modules needs neither Polars nor pyarrow, so that a
process that only hands out work starts fast.
"""
