"""Read prompts and tools, and hand them to every process of an export as one Arrow file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pyarrow as pa

from polars_export.prompts.eval_sets import read_prompts
from polars_export.prompts.find import eval_sets_of
from polars_export.prompts.join import SideInputs
from polars_export.prompts.tools import Tools, read_tools

if TYPE_CHECKING:
    from pathlib import Path

    from polars_export.options import ExportOptions
    from polars_export.sources.find import Sources

__all__ = ["load_prompts", "load_side_inputs", "open_side_inputs", "store_side_inputs"]

_TOOLS = b"tools"


def load_side_inputs(sets: Sources, options: ExportOptions) -> SideInputs:
    """Return the prompts of eval sets and the tools of an export whose records hold such.

    Raises:
        InputError: A file that names them cannot be used.
    """
    tools = read_tools(options.tools) if options.tools else None
    return SideInputs(read_prompts(sets), tools)


def load_prompts(sources: Sources, prompts: Sources, tools: str | None = None) -> SideInputs | None:
    """Return the eval sets given, else those of the eval stores among the sources, and tools; None if there are none.

    Raises:
        InputError: An eval set cannot be used.
    """
    given = eval_sets_of(sources, prompts)
    if not given and not tools:
        return None
    return SideInputs(read_prompts(given), read_tools(tools) if tools else None)


def store_side_inputs(side_inputs: SideInputs, path: Path) -> None:
    """Write prompts and tools to an Arrow IPC file: a row per case, and the tools as JSON in the schema's metadata.

    Raises:
        OSError: The file cannot be written.
    """
    prompts = side_inputs.prompts.to_arrow(compat_level=pl.CompatLevel.newest())
    if side_inputs.tools:
        prompts = prompts.replace_schema_metadata({_TOOLS: msgspec.json.encode(side_inputs.tools.schemas)})
    with path.open("wb") as file, pa.ipc.new_file(file, prompts.schema) as writer:
        writer.write_table(prompts)


def open_side_inputs(path: Path) -> SideInputs:
    """Map the file that `store_side_inputs` wrote into memory, which all processes share: nothing of it is copied."""
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    tools = (table.schema.metadata or {}).get(_TOOLS)
    schemas = msgspec.json.decode(tools, type=list[str] | dict[str, list[str]]) if tools else None
    return SideInputs(pl.DataFrame(table), None if schemas is None else Tools(schemas))
