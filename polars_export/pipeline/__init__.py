"""The composition: the only room that collects."""

from polars_export.pipeline.run import Watch, export, export_objects, iter_batches, read_traces, read_turns

__all__ = ["Watch", "export", "export_objects", "iter_batches", "read_traces", "read_turns"]
