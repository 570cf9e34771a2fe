"""What the README shows runs."""

import re
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_library_example_runs():
    rng = np.random.default_rng(0)
    names = {
        "users": rng.integers(0, 50, 2000),
        "items": rng.integers(0, 30, 2000),
        "stars": rng.integers(1, 6, 2000),
    }
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "README.md", "exec"), names)
    assert int(names["state"].epoch) == names["settings"].epochs


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_parameters_that_are_named_exist():
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    for path in re.findall(r"-S '?([a-z_.]+)=", README):
        block = params
        for part in path.split("."):
            assert part in block, path
            block = block[part]
