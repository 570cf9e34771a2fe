"""The library's rooms: which may know of which."""

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "mascot_jax"
MAY_IMPORT = {
    "errors": [],
    "base": ["errors"],
    "ranking": ["errors", "base"],
    "ids": ["errors", "base"],
    "tables": ["errors", "base"],
    "settings": ["errors", "base", "tables"],
    "data": ["errors", "base", "ids", "tables", "settings"],
    "clicks": ["errors", "base", "settings", "data"],
    "engine": ["errors", "base", "tables", "settings"],
    "methods": ["errors", "base", "tables", "settings", "engine"],
    "distributed": ["errors", "base", "tables", "settings", "engine"],
    "training": [
        "errors",
        "base",
        "ranking",
        "tables",
        "settings",
        "engine",
        "methods",
        "distributed",
    ],
    "mf": [
        "errors",
        "base",
        "ranking",
        "ids",
        "tables",
        "settings",
        "engine",
        "distributed",
        "training",
    ],
    "dlrm": ["errors", "base", "tables", "settings", "clicks", "engine", "methods", "training"],
    "model_selection": [
        "errors",
        "base",
        "ids",
        "tables",
        "settings",
        "engine",
        "distributed",
        "training",
        "mf",
    ],
    "command": [
        "errors",
        "base",
        "ids",
        "tables",
        "settings",
        "data",
        "clicks",
        "engine",
        "distributed",
        "training",
        "mf",
        "dlrm",
        "model_selection",
    ],
}
"""Room -> the others that it may know of. Nothing imports the package's face."""


def imported(path):
    """The rooms that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            package, *rest = name.split(".")
            if package == "mascot_jax":
                yield rest[0] if rest and rest[0] in MAY_IMPORT else "the face"


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_knows_of_those_below_it(room):
    files = [FOLDER / f"{room}.py", *(FOLDER / room).rglob("*.py")]
    found = {name for path in files if path.exists() for name in imported(path)}
    assert found - {room} <= set(MAY_IMPORT[room])


def test_every_file_is_in_a_room():
    parts = {path.relative_to(FOLDER).parts[0].removesuffix(".py") for path in FOLDER.rglob("*.py")}
    assert parts - {"__init__", "__main__"} == set(MAY_IMPORT)
