"""studies/paper/dvc.yaml names all code and every parameter that a stage runs on."""

import ast
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.pipeline.test_dependencies import DECIDE_NO_BYTE, closure
from tests.pipeline.workspace import CHECKOUT

STAGES = YAML(typ="safe").load(CHECKOUT / "studies/paper/dvc.yaml")["stages"]
PARAMS = "studies/paper/params.yaml"
SHARED = {
    "profile",
    "profiles.${profile}.sets",
    "profiles.${profile}.train",
    "profiles.${profile}.repetitions",
}
DOCSTRINGS = {Path(name, "__init__.py") for name in ("studies", "studies/paper", "benchmarks")}
FIGURES = set(STAGES) - {"data", "report"}
GRIDS = ("factors", "half_shares", "groups", "periods", "sample_ratios", "pruning")


def params(stage):
    (entry,) = STAGES[stage]["params"]
    return set(entry[PARAMS])


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_all_that_it_imports(stage):
    deps = {Path(name) for name in STAGES[stage]["deps"]}
    needed = closure(f"studies.paper.{stage}") | closure(f"studies.paper.{stage}.__main__")
    assert Path("mascot_jax/errors.py") in needed
    missing = {path for path in needed if not deps & {path, *path.parents}}
    assert missing <= DECIDE_NO_BYTE | DOCSTRINGS


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_names_few_folders(stage):
    assert sum("${" not in name for name in STAGES[stage]["deps"]) <= 6


@pytest.mark.parametrize("path", sorted(DOCSTRINGS))
def test_what_decides_no_byte_holds_a_docstring_only(path):
    _, *rest = ast.parse((CHECKOUT / path).read_text(encoding="utf-8")).body
    assert [ast.unparse(node) for node in rest] in ([], ["import pipeline"])


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_the_checkout(stage):
    assert STAGES[stage]["wdir"] == "../.."
    assert STAGES[stage]["cmd"] == f"python -m studies.paper.{stage}"
    code = [name for name in STAGES[stage]["deps"] if "${" not in name]
    assert all((CHECKOUT / name).exists() for name in code)


@pytest.mark.parametrize("stage", sorted(FIGURES))
def test_a_figure_depends_on_what_all_share_and_on_its_own_grids(stage):
    source = (CHECKOUT / f"studies/paper/{stage}.py").read_text(encoding="utf-8")
    grids = {name for name in GRIDS if f"grids.{name}" in source}
    assert params(stage) == SHARED | {f"profiles.${{profile}}.grids.{name}" for name in grids}
    assert STAGES[stage]["outs"] == [f"studies/paper/results/${{profile}}/{stage}.json"]


def test_the_report_reads_every_figure():
    read = {Path(name).stem for name in STAGES["report"]["deps"] if name.endswith(".json")}
    assert read == FIGURES


def test_data_of_others_are_not_pushed():
    assert STAGES["data"]["outs"] == [{"studies/paper/data/${profile}": {"push": False}}]
    assert params("data") == {"profile", "data", "profiles.${profile}.sets"}
