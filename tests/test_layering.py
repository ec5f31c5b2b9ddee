"""The house: which module may import which, read from the imports themselves."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "polars_export"

# A room, and the rooms it may import; a package is one room. Reading downwards, data flows one way.
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "schema": set(),
    "chunk": set(),
    "nested": set(),
    "options": {"errors"},
    "report": set(),
    "decode": {"chunk", "errors", "schema"},
    "sources": {"chunk", "decode", "errors"},
    "flatten": {"decode", "nested", "schema"},
    "scoring": {"options"},
    "selection": set(),
    "tables": {"flatten", "nested", "scoring"},
    "prompting": {"errors", "sources", "tables"},
    "conversation": {"options", "tables"},
    "formats": {"conversation", "errors", "nested", "options", "report", "tables"},
    "writers": {"errors", "nested"},
    "pipeline": {
        "chunk", "decode", "errors", "flatten", "formats", "options", "prompting", "report", "schema", "scoring",
        "selection", "sources", "tables", "writers",
    },
    "reporter": {"decode", "errors", "options", "pipeline"},
    "terminal": {"pipeline", "report"},
    "cli": {"__init__", "errors", "options", "pipeline", "terminal"},
    "__main__": {"cli"},
}  # fmt: skip
TOUCH_FILES = {"sources", "writers", "cli"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if room_of(path) != "__init__"]


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports, those for type checking included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
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
        assert imported(path) & {"pathlib", "io", "glob", "shutil", "tempfile", "sys"} == (
            {"sys"} if path.stem == "__main__" else set()
        )


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_pipeline_collects(path: Path) -> None:
    if room_of(path) != "pipeline":
        assert ".collect" not in path.read_text(encoding="utf-8")


def test_the_command_line_starts_without_polars() -> None:
    for room in ("cli", "errors", "options"):
        assert imported(PACKAGE / f"{room}.py") & {"polars", "pyarrow", "msgspec"} == set()
