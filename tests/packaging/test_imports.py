"""Which room of the assistant imports which: as the table of the documentation says."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
GROUND = "ground"


class Room(NamedTuple):
    modules: frozenset[str]
    """Modules and packages, as they are named below `assistant`."""
    may_import: frozenset[str]
    """Other rooms, and `engines`."""


def rooms() -> dict[str, Room]:
    """Read the table."""
    lines = (ROOT / "docs/development.md").read_text("utf-8").splitlines()
    begin = lines.index("| room | files | imports |") + 2
    found = {}
    for line in lines[begin : lines.index("", begin)]:
        name, files, others = (cell.strip() for cell in line.strip("|").split("|"))
        modules = frozenset(files.replace("`", "").split())
        found[name] = Room(modules, frozenset(others.replace(",", " ").split()))
    return found


ROOMS = rooms()


def files(module: str) -> list[Path]:
    package = ROOT / "assistant" / module
    return sorted(package.rglob("*.py")) if package.is_dir() else [package.with_suffix(".py")]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module="assistant", names=names):
                yield from (f"assistant.{name.name}" for name in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module


def imported_rooms(room: Room) -> set[str]:
    named = [name for module in room.modules for path in files(module) for name in imports(path)]
    parts = [name.split(".") for name in named]
    ours = {part[1] for part in parts if part[0] == "assistant"}
    found = {name for name, other in ROOMS.items() if other.modules & ours}
    return found | ({"engines"} if ["engines"] in [part[:1] for part in parts] else set())


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_what_the_table_says(name: str):
    room = ROOMS[name]
    assert imported_rooms(room) - {name, GROUND} == room.may_import


def test_every_module_belongs_to_one_room_of_the_table():
    kept = Counter(module for room in ROOMS.values() for module in room.modules)
    there = {path.stem for path in (ROOT / "assistant").glob("*.py")} - {"__init__"}
    there |= {path.parent.name for path in (ROOT / "assistant").glob("*/__init__.py")}
    assert kept == Counter(there)
