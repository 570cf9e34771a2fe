"""Epochs as XLA's GPU compiler makes them; needs no GPU, but the compiler (``make hardening``)."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mascot_jax.settings.clicks import CLICK_PRESETS
from mascot_jax.settings.methods import METHODS

pytestmark = pytest.mark.hardening

CHECKOUT = Path(__file__).parents[2]
COMPILER = CHECKOUT / "build" / "gpu-compiler"


EARLY_EXIT = {"method": "early-exit", "rate": 0.3}
EPOCHS = [
    *({"method": method} for method in METHODS),
    *({"method": method, "pruning": EARLY_EXIT} for method in ("fp32", "mascot")),
    *(
        {"method": name, "objective": "interactions"}
        for name, method in METHODS.items()
        if not method.compares
    ),
]
SHARED = [
    {"method": "fp32"},
    {"method": "fp16", "rounding": "stochastic", "order": "runs"},
    {"method": "mascot-int8", "warmup": 0, "period": 1},
    {"method": "mpt"},
]
PROJECTIONS = [
    {"method": "mascot-int8"},
    {"method": "fp16", "rounding": "stochastic"},
    {"method": "int8", "rounding": "stochastic"},
]


def named(settings):
    """What a test is called by: the method, and what else is set."""
    others = [name for name in ("pruning", "objective") if name in settings]
    return "-".join([settings["method"], *others])


def compile_for_gpu(what, settings):
    """What ``tests.support.gpu_compiler`` prints."""
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
    return compile_for_gpu("epoch", request.param)


@pytest.mark.parametrize("settings", PROJECTIONS, ids=named)
def test_a_projection_writes_its_tables_in_place_and_asks_the_host_for_nothing(settings):
    found = compile_for_gpu("projection", settings)
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


def assert_no_command_buffers_of_ours(program):
    buffers = re.findall(r"^%?command_buffer.*?^}", program, re.MULTILINE | re.DOTALL)
    assert [buffer for buffer in buffers if "mascot_" in buffer] == []


def test_no_kernel_of_ours_lies_in_a_command_buffer(compiled):
    assert_no_command_buffers_of_ours(compiled["program"])


@pytest.mark.parametrize("settings", SHARED, ids=named)
def test_two_gpus_share_an_epoch_in_place(settings):
    found = compile_for_gpu("shared", settings)
    program = found["program"]
    assert found["in_place"] >= found["tables"]
    instructions = re.findall(r" = (\S+) ([a-z-]+)\(", program)
    copied = [shape for shape, name in instructions if name.startswith("copy")]
    assert [s for s in copied if any(f"[{table}]" in s for table in found["shapes"])] == []
    names = {name for _, name in instructions}
    assert {"conditional", "infeed", "outfeed", "send", "recv"}.isdisjoint(names)
    assert program.count(" collective-permute-start(") == 1
    assert program.count(" while(") == 2  # steps, and whether there is a parcel
    ours = set(re.findall(r'custom_call_target="(mascot_\w+)"', program))
    assert {"mascot_hogwild_turns", "mascot_pack", "mascot_unpack"} <= ours
    assert_no_command_buffers_of_ours(program)


@pytest.mark.parametrize("preset", CLICK_PRESETS)
def test_steps_of_click_models_are_in_place_and_sort_on_the_device(preset):
    found = compile_for_gpu("clicks", {"preset": preset})
    program = found["program"]
    assert found["in_place"] >= found["tables"]
    instructions = re.findall(r" = (\S+) ([a-z-]+)\(", program)
    copied = [shape for shape, name in instructions if name.startswith("copy")]
    assert [shape for shape in copied if re.match(r"(f32|u8|f16)\[(200|800|1000),", shape)] == []
    # The steps are a loop of known length: the host need not ask the device whether to go on.
    (loop,) = (line for line in program.splitlines() if " while(" in line)
    assert '"known_trip_count":{"n":"16"}' in loop
    names = {name for _, name in instructions}
    assert {"conditional", "infeed", "outfeed", "send", "recv"}.isdisjoint(names)
    targets = re.findall(r'custom_call_target="(\w+)"', program)
    ours = [target for target in targets if target.startswith("mascot")]
    assert ours == ["mascot_embedding_lookup", "mascot_embedding_update_sorted"]
    # Where there is a GPU, it is CUB's: without one, XLA's compiler does not know its scratch.
    assert re.search(r"\) sort\(|DeviceRadixSort", program)
    buffers = re.findall(r"^%?command_buffer.*?^}", program, re.MULTILINE | re.DOTALL)
    assert [buffer for buffer in buffers if "mascot_" in buffer] == []
