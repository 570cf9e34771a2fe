"""The library's rooms: which may know of which."""

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "mascot_jax"
ROOMS = [
    "errors", "files", "json_text", "settings", "engine", "artefact", "data", "training", "serving",
    "estimator", "command",
]  # fmt: skip
"""Each knows of those before it only."""


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
            if package == "mascot_jax" and rest and rest[0] in ROOMS:
                yield rest[0]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_knows_of_those_before_it(room):
    files = [FOLDER / f"{room}.py", *(FOLDER / room).rglob("*.py")]
    found = {name for path in files if path.exists() for name in imported(path)}
    assert found - {room} <= set(ROOMS[: ROOMS.index(room)])


def test_every_file_is_in_a_room():
    parts = {path.relative_to(FOLDER).parts[0].removesuffix(".py") for path in FOLDER.rglob("*.py")}
    assert parts - {"__init__", "__main__"} == set(ROOMS)
