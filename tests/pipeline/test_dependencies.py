"""dvc.yaml, and clicks/dvc.yaml, name all code that a stage runs."""

import ast
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from mascot_jax.settings import RunSettings
from tests.pipeline.workspace import CHECKOUT

DECIDE_NO_BYTE = {
    Path(name)
    for name in (
        "mascot_jax/__init__.py",
        "mascot_jax/errors.py",
        "mascot_jax/engine/__init__.py",
        "mascot_jax/engine/native.py",
        "pipeline/__init__.py",
        "pipeline/clicks/__init__.py",
    )
}
"""They say whether a stage runs, and what it says then: nothing of what it writes."""
CODE = ("pipeline", "mascot_jax", "ffi")
STAGES = YAML(typ="safe").load(CHECKOUT / "dvc.yaml")["stages"]
CLICK_STAGES = YAML(typ="safe").load(CHECKOUT / "clicks/dvc.yaml")["stages"]
ALL = {
    **{f"pipeline.{name}": stage for name, stage in STAGES.items()},
    **{f"pipeline.clicks.{name}": stage for name, stage in CLICK_STAGES.items()},
}
"""Every stage, by the module that it runs."""


def nodes(tree):
    """All nodes below one that are run: those for type checkers are not."""
    yield tree
    if isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING":
        return
    for node in ast.iter_child_nodes(tree):
        yield from nodes(node)


def modules(path):
    """Names that a file may import, anywhere in it; some are not modules but what is in one."""
    for node in nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import, which this test does not follow"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files(module):
    """The checkout's files that importing a module runs: its own and its packages'."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        base = Path(*parts[:count])
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if (CHECKOUT / path).is_file():
                yield path


SETTINGS = Path("mascot_jax/settings")


def closure(module):
    """All of the checkout's files that a module imports, and they in turn.

    What settings are checked against is no part of them: their values are parameters.
    """
    found, left = set(), set(files(module))
    while left:
        path = left.pop()
        found.add(path)
        new = {file for name in modules(CHECKOUT / path) for file in files(name)} - found
        left |= {file for file in new if SETTINGS not in path.parents or SETTINGS in file.parents}
    return found


@pytest.mark.parametrize("module", ALL)
def test_a_stage_depends_on_all_that_it_imports(module):
    deps = {Path(name) for name in ALL[module]["deps"]}
    needed = closure(module)
    assert {
        Path("mascot_jax/settings/params.py"),
        Path("mascot_jax/settings/click_params.py"),
    } & needed
    missing = {path for path in needed if not deps & {path, *path.parents}}
    assert missing <= DECIDE_NO_BYTE


@pytest.mark.parametrize("module", ALL)
def test_a_stage_names_few_folders(module):
    assert sum(name.startswith(CODE) for name in ALL[module]["deps"]) <= 7


def test_a_stage_depends_on_no_code_that_is_gone():
    for stage in ALL.values():
        code = {name for name in stage["deps"] if name.startswith(CODE)}
        assert all((CHECKOUT / name).exists() for name in code)


def test_training_depends_on_every_parameter_that_counts():
    """Checkpoints, and where ratings lie, change no result: they must not train again."""
    of_no_effect = {"run.checkpoint_every", "run.scratch"}
    named = {f"run.{name}" for name in RunSettings.model_fields} - of_no_effect
    assert set(STAGES["train"]["params"]) == {"regroup", "train"} | named


def test_training_of_clicks_depends_on_every_parameter_that_counts():
    (named,) = CLICK_STAGES["train"]["params"]
    assert named == {"clicks/params.yaml": ["train", "run.backend"]}
