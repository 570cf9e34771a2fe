"""Epochs as XLA's GPU compiler makes them; needs no GPU, but the compiler (``make hardening``)."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mascot_jax.settings.methods import METHODS

pytestmark = pytest.mark.hardening

CHECKOUT = Path(__file__).parents[2]
COMPILER = CHECKOUT / "build" / "gpu-compiler"


OF_INTERACTIONS = [name for name, method in METHODS.items() if not method.compares]


@pytest.fixture(params=[*METHODS, *(f"{name} interactions" for name in OF_INTERACTIONS)])
def compiled(request):
    if not COMPILER.is_dir():
        pytest.skip("XLA's GPU compiler is not there: make build/gpu-compiler")
    path = os.pathsep.join([str(COMPILER), str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
    environment = {name: value for name, value in os.environ.items() if name != "JAX_PLATFORMS"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.gpu_compiler", *request.param.split()],
        env=environment | {"PYTHONPATH": path, "JAX_SKIP_CUDA_CONSTRAINTS_CHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_epochs_are_in_place_and_wait_for_nothing(compiled):
    program = compiled["program"]
    assert compiled["in_place"] >= compiled["tables"]
    instructions = re.findall(r" = (\S+) ([a-z-]+)\(", program)
    assert "custom-call" in {name for _, name in instructions}
    copied = [shape for shape, name in instructions if name.startswith("copy")]
    assert [shape for shape in copied if "[1000," in shape] == []  # a table's rows
    waits = {"conditional", "while", "infeed", "outfeed", "send", "recv"}
    assert waits.isdisjoint(name for _, name in instructions)


def test_no_kernel_of_ours_lies_in_a_command_buffer(compiled):
    buffers = re.findall(r"^%?command_buffer.*?^}", compiled["program"], re.MULTILINE | re.DOTALL)
    assert [buffer for buffer in buffers if "mascot_" in buffer] == []
