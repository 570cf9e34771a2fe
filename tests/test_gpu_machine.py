"""A machine that is lent for its GPU has neither polars nor what fetches data, and no network."""

import subprocess
import sys

import pytest

PROGRAM = """
import importlib, sys
sys.modules.update(dict.fromkeys(["polars", "pooch", "platformdirs", "shtab", "ruamel"]))
importlib.import_module(sys.argv[1])
"""


@pytest.mark.parametrize(
    "module",
    [
        "benchmarks.gpu.__main__",
        "tests.engine.test_gpu",
        "tests.engine.test_gpu_embedding",
        "tests.benchmarks.test_gpu_ways",
        "tests.training.test_shared_on_gpus",
    ],
)
def test_what_runs_there_imports_nothing_that_is_not(module):
    subprocess.run([sys.executable, "-c", PROGRAM, module], check=True)
