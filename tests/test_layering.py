"""The house: which module may import which, read from the imports themselves, types included."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "polars_export"

# A room, and the rooms that it may import. Downwards, data flows one way: a room imports none below it. A package is
# one room, but for single modules of it that others need before it: what a rule is, and which columns there are.
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "choices": set(),
    "report": set(),
    "file_names": set(),
    "json_values": set(),
    "process": set(),
    "option_values": {"errors"},
    "tables.projection": set(),
    "targets": {"choices", "tables.projection"},
    "selection.rule": set(),
    "mapping": {"errors"},
    "input_options": {"choices", "errors", "mapping", "option_values"},
    "options": {"choices", "errors", "input_options", "mapping", "option_values", "selection.rule", "targets"},
    "sources": {"errors", "json_values", "option_values"},
    "tables": {"errors", "json_values", "tables.projection"},
    "table_files": {"errors", "sources", "tables", "tables.projection"},
    "messages": {"json_values", "tables", "tables.projection"},
    "inputs": {
        "errors", "json_values", "mapping", "messages", "option_values", "process", "sources", "tables",
        "tables.projection",
    },
    "prompts": {"errors", "inputs", "json_values", "options", "sources", "tables"},
    "selection": {"choices", "options", "report", "selection.rule", "tables", "targets"},
    "conversation": {"choices", "options", "tables"},
    "formats": {"choices", "conversation", "options", "report", "tables", "tables.projection", "targets"},
    "pipeline": {
        "choices", "errors", "formats", "inputs", "json_values", "messages", "options", "report", "selection",
        "selection.rule", "sources", "tables", "tables.projection", "targets",
    },
    "writers": {"errors", "file_names", "process", "tables", "targets"},
    "execution": {
        "choices", "errors", "formats", "input_options", "inputs", "option_values", "options", "pipeline", "process",
        "prompts", "report", "selection", "selection.rule", "sources", "table_files", "tables", "tables.projection",
        "targets",
        "writers",
    },
    "reporter": {"choices", "errors", "execution", "inputs", "options", "tables"},
    "terminal": {"execution", "report"},
    "cli_options": {"choices", "inputs", "options", "targets"},
    "show": {
        "errors", "execution", "input_options", "inputs", "json_values", "prompts", "sources", "tables",
        "tables.projection",
    },
    "cli": {
        "__init__", "cli_options", "errors", "execution", "input_options", "options", "process", "report", "show",
        "terminal",
    },
    "__main__": {"cli"},
}  # fmt: skip
FILES = {"pathlib", "io", "glob", "shutil", "tempfile"}
TOUCH_FILES = {"sources", "writers", "cli", "execution", "mapping"}
PROCESSES = {"subprocess", "multiprocessing", "concurrent.futures", "threading"}
START_PROCESSES = {"process.py", "execution/process_executor.py", "execution/worker_process.py"}
CONDUCT = [
    "sources", "writers", "execution", "inputs.detect", "inputs.partition", "execution.conductor",
    "execution.process_executor", "execution.tasks",
]  # fmt: skip
MOST_LINES, LONGEST_FUNCTION = 400, 60


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def of_package() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def room_of(name: str) -> str:
    return next((room for room in (name, name.split(".", maxsplit=1)[0]) if room in ROOMS), "__init__")


@cache
def imported(path: Path) -> set[str]:
    """Return the modules that a file imports, those for type checking included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not getattr(node, "level", 0), "relative imports would escape this test"
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            are_modules = {name for name in inside if is_module(name)}
            names |= are_modules or {node.module}
    return names


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def inside(path: Path) -> set[str]:
    """Return the modules of the package that a file imports, without its name in front."""
    return {name.removeprefix("polars_export.") for name in imported(path) if name.startswith("polars_export")}


@of_package()
def test_a_room_imports_only_the_rooms_it_may(path: Path) -> None:
    room = room_of(name_of(path))
    assert {room_of(name) for name in inside(path)} - {room} <= ROOMS[room]


def test_every_room_is_listed_and_every_arrow_is_used() -> None:
    used: dict[str, set[str]] = {room: set() for room in ROOMS}
    for path in modules():
        room = room_of(name_of(path))
        used[room] |= {room_of(name) for name in inside(path)} - {room}
    assert used == ROOMS


def test_rooms_import_one_way() -> None:
    rank = {room: number for number, room in enumerate(ROOMS)}
    assert [(a, b) for a, rooms in ROOMS.items() for b in rooms - {"__init__"} if rank[b] > rank[a]] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name_of(path): inside(path) for path in modules()}
    TopologicalSorter(graph).prepare()  # raises a CycleError that names them


@of_package()
def test_no_room_but_inputs_and_the_reference_interface_knows_a_dialect(path: Path) -> None:
    dialects = {f"inputs.{folder.name}" for folder in (PACKAGE / "inputs").iterdir() if folder.is_dir()}
    if name_of(path) == "reporter" or any(f"{name_of(path)}.".startswith(f"{dialect}.") for dialect in dialects):
        return
    assert [name for name in inside(path) if any(f"{name}.".startswith(f"{dialect}.") for dialect in dialects)] == []


@of_package()
def test_only_who_reads_or_writes_touches_files(path: Path) -> None:
    name = name_of(path)
    if room_of(name) in TOUCH_FILES or name == "prompts.side_inputs":
        return
    assert run_time_imports(path) & FILES == set()


def run_time_imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if not isinstance(node, ast.If)]
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return {node.module or "" for node in found if isinstance(node, ast.ImportFrom)} | {
        alias.name for node in found if isinstance(node, ast.Import) for alias in node.names
    }


@of_package()
def test_processes_are_started_in_one_place(path: Path) -> None:
    if str(path.relative_to(PACKAGE)) not in START_PROCESSES:
        assert imported(path) & PROCESSES == set()


def test_the_command_line_starts_without_polars() -> None:
    for room in ("cli", "cli_options", "errors", "options", "option_values", "choices"):
        assert run_time_imports(PACKAGE / f"{room}.py") & {"polars", "pyarrow", "msgspec"} == set()


def test_who_conducts_an_export_loads_neither_polars_nor_arrow() -> None:
    names = [f"polars_export.{name}" for name in CONDUCT]
    code = (
        f"import sys, {', '.join(names)}; from polars_export.inputs.registry import dialects; dialects(); "
        "print(*sorted({'polars', 'pyarrow'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


CODE = [path for folder in ("polars_export", "benchmarks", "tests") for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_can_be_read_at_once(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}
