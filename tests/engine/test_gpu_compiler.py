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


EARLY_EXIT = {"method": "early-exit", "rate": 0.3}
EPOCHS = [
    *({"method": method} for method in METHODS),
    *({"method": method, "pruning": EARLY_EXIT} for method in ("fp32", "mascot")),
]
PROJECTIONS = [
    {"method": "mascot-int8"},
    {"method": "fp16", "rounding": "stochastic"},
    {"method": "int8", "rounding": "stochastic"},
]


def named(settings):
    """What a test is called by: the method, and whether it is pruned."""
    return settings["method"] + ("-pruned" if "pruning" in settings else "")


def compiled_for_gpu(what, settings):
    if not COMPILER.is_dir():
        pytest.skip("XLA's GPU compiler is not there: make build/gpu-compiler")
    path = os.pathsep.join([str(COMPILER), str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
    environment = {name: value for name, value in os.environ.items() if name != "JAX_PLATFORMS"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.gpu_compiler", what, json.dumps(settings)],
        env=environment | {"PYTHONPATH": path, "JAX_SKIP_CUDA_CONSTRAINTS_CHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(params=EPOCHS, ids=named)
def compiled(request):
    return compiled_for_gpu("epoch", request.param)


@pytest.mark.parametrize("settings", PROJECTIONS, ids=named)
def test_a_projection_writes_its_tables_in_place_and_asks_the_host_for_nothing(settings):
    found = compiled_for_gpu("projection", settings)
    assert found["in_place"] >= found["tables"]
    instructions = {name for _, name in re.findall(r" = (\S+) ([a-z-]+)\(", found["program"])}
    assert {"infeed", "outfeed", "send", "recv"}.isdisjoint(instructions)
    assert "f64[" not in found["program"]
    assert 'custom_call_target="mascot_' not in found["program"]


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
