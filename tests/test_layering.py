"""The house: which module may import which, read from the imports themselves."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "polars_export"

# A room, and the rooms it may import; a package is one room. SourceReader downwards, data flows one way.
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "names": set(),
    "detail": set(),
    "schema": {"detail"},
    "chunk": set(),
    "nested": set(),
    "options": {"errors"},
    "report": set(),
    "decode": {"chunk", "detail", "errors"},
    "sources": {"chunk", "decode", "errors", "names"},
    "flatten": {"chunk", "decode", "detail", "nested", "schema"},
    "scoring": {"options"},
    "selection": set(),
    "tables": {"flatten", "nested", "scoring"},
    "prompting": {"errors", "sources", "tables"},
    "conversation": {"options", "tables"},
    "formats": {"conversation", "errors", "nested", "options", "report", "tables"},
    "process": set(),
    "writers": {"errors", "names", "nested", "process"},
    "pipeline": {
        "chunk", "decode", "detail", "errors", "flatten", "formats", "options", "process", "prompting", "report",
        "schema", "scoring", "selection", "sources", "tables", "writers",
    },
    "reporter": {"decode", "errors", "options", "pipeline"},
    "terminal": {"pipeline", "report"},
    "cli": {"__init__", "errors", "options", "pipeline", "process", "terminal"},
    "__main__": {"cli"},
}  # fmt: skip
TOUCH_FILES = {"sources", "writers", "cli"}
PROCESSES = {PACKAGE / "process.py", PACKAGE / "pipeline/crew.py"}  # how one starts or ends
CONDUCT = ["sources", "writers", "pipeline", "pipeline.export", "pipeline.crew"]  # while others load Polars


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if room_of(path) != "__init__"]


@cache
def imported(path: Path, *, for_types: bool = True) -> set[str]:
    """Return the modules that a file imports, those for type checking included or not."""
    names: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not for_types:
        tree.body = [node for node in tree.body if not isinstance(node, ast.If)]
    for node in ast.walk(tree):
        assert not getattr(node, "level", 0), "relative imports would escape this test"
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "polars_export":
            names |= {f"polars_export.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def rooms_imported(path: Path) -> set[str]:
    parts = [name.split(".") for name in imported(path) if name.startswith("polars_export")]
    return {part[1] if f"{part[1]}" in ROOMS else "__init__" for part in parts} - {room_of(path)}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_the_rooms_it_may(path: Path) -> None:
    assert rooms_imported(path) <= ROOMS[room_of(path)]


def test_every_room_is_listed_and_every_arrow_is_used() -> None:
    used: dict[str, set[str]] = {room: set() for room in ROOMS}
    for path in modules():
        used[room_of(path)] |= rooms_imported(path)
    assert used == ROOMS


def test_arrows_go_one_way() -> None:
    rank = {room: number for number, room in enumerate(ROOMS)}
    assert [(a, b) for a, rooms in ROOMS.items() for b in rooms - {"__init__"} if rank[b] > rank[a]] == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_sources_writers_and_the_command_line_touch_files(path: Path) -> None:
    if room_of(path) not in TOUCH_FILES:
        handed_on = room_of(path) == "pipeline"  # paths, from the writers to those who write
        assert imported(path, for_types=not handed_on) & {"pathlib", "io", "glob", "shutil", "tempfile", "sys"} == (
            {"sys"} if path in PROCESSES else set()
        )


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_processes_are_started_in_one_place(path: Path) -> None:
    if path not in PROCESSES:
        assert imported(path) & {"subprocess", "multiprocessing", "concurrent.futures", "threading"} == set()


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_pipeline_collects(path: Path) -> None:
    if room_of(path) != "pipeline":
        assert ".collect" not in path.read_text(encoding="utf-8")


def test_the_command_line_starts_without_polars() -> None:
    for room in ("cli", "errors", "options"):
        assert imported(PACKAGE / f"{room}.py") & {"polars", "pyarrow", "msgspec"} == set()


def test_who_conducts_an_export_loads_neither_polars_nor_arrow() -> None:
    modules = [f"polars_export.{module}" for module in CONDUCT]
    code = f"import sys, {', '.join(modules)}; print(*sorted({{'polars', 'pyarrow'}} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
