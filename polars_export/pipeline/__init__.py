"""The composition: the only room that collects.

`export` conducts other processes, which do the work; the modules that load Polars are imported by who needs them.
"""

from polars_export.pipeline.account import Watch
from polars_export.pipeline.export import export

__all__ = ["Watch", "export"]
