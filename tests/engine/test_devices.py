"""Which device is chosen, and what is said where it cannot be; no GPU is needed."""

import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import mascot_ffi
import pytest

import mascot_jax
from mascot_jax.distributed.join import initialised
from mascot_jax.distributed.workers import Workers
from mascot_jax.engine.devices import (
    all_gpus,
    choose_device,
    device_for_use,
    execution_of,
    explain,
    usable_cores,
)
from mascot_jax.engine.kernels import Execution
from mascot_jax.errors import BackendError
from mascot_jax.settings import RunSettings, TrainSettings
from pipeline.common.hardware import describe_hardware

CHECKOUT = Path(__file__).parents[2]
BUILD = {"cuda": {"compiler": "nvcc 13.0", "architectures": [75, 80, 90, 100]}}
H200 = {"name": "NVIDIA H200", "capability": 90, "usable": True}
PASCAL = {"name": "NVIDIA GeForce GTX 1080", "capability": 61, "usable": False}
READY = {"driver": 13000, "runtime": 13000, "error": "", "devices": [H200]}

OBSTACLES = {
    "no module": (
        None, {"cuda": None}, "",
        ["built without CUDA", "nvcc is on the PATH",
         "`pip install . -C cmake.define.MASCOT_CUDA=on`"],
    ),
    "no driver": (
        READY | {"driver": 0, "devices": [], "error": "insufficient driver"}, BUILD, "",
        ["there is no NVIDIA driver", "install one for CUDA 13.0 or newer"],
    ),
    "old driver": (
        READY | {"driver": 12040, "devices": [], "error": "insufficient driver"}, BUILD, "",
        ["runs CUDA up to 12.4", "built with 13.0", "update the driver"],
    ),
    "no device": (
        READY | {"devices": [], "error": "no CUDA-capable device is detected"}, BUILD, "",
        ["finds no GPU (no CUDA-capable device is detected)", "CUDA_VISIBLE_DEVICES"],
    ),
    "old devices": (
        READY | {"devices": [PASCAL, PASCAL | {"name": "NVIDIA Tesla V100", "capability": 70}]},
        BUILD, "",
        ["NVIDIA GeForce GTX 1080 (6.1), NVIDIA Tesla V100 (7.0)", "for 7.5, 8.0, 9.0, 10.0;"],
    ),
    "no plug-in": (
        READY, BUILD, "Unknown backend cuda",
        ["JAX has no CUDA device (Unknown backend cuda)", "`pip install 'jax[cuda13]'`"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OBSTACLES)
def test_what_is_missing_is_named_with_its_remedy(case):
    *found, parts = OBSTACLES[case]
    said = explain(*found)
    for part in parts:
        assert part in said
    assert "\n" not in said


def test_no_two_obstacles_sound_alike():
    assert len({explain(*found) for *found, _ in OBSTACLES.values()}) == len(OBSTACLES)


@pytest.mark.parametrize(
    "probe",
    [
        READY,
        READY | {"devices": [PASCAL, H200]},
        READY | {"driver": 13000, "runtime": 13020},  # CUDA runs on older drivers of its major
        READY | {"driver": 14000},
    ],
)
def test_nothing_is_missing_where_one_device_can_be_used(probe):
    assert explain(probe, BUILD, "") is None


def test_the_first_thing_missing_is_named():
    probe = {"driver": 0, "runtime": 13000, "error": "no driver", "devices": []}
    assert "driver" in explain(probe, BUILD, "no plug-in")
    assert "without CUDA" in explain(None, {"cuda": None}, "no plug-in")


@pytest.mark.parametrize("runtime", [12080, 13000])
def test_the_plug_in_is_that_of_the_modules_cuda(runtime):
    said = explain(READY | {"runtime": runtime}, BUILD, "none")
    assert f"jax[cuda{runtime // 1000}]" in said


def machine(monkeypatch, probe, build=BUILD, capabilities=()):
    """Pretend a native module, and what JAX has; return JAX's pretended devices."""
    devices = [SimpleNamespace(compute_capability=c, platform="gpu") for c in capabilities]
    real = jax.local_devices

    def local_devices(*, backend=None):
        if backend != "cuda":
            return real(backend=backend)
        if not devices:
            raise RuntimeError("Unknown backend:\n'cuda' requested")
        return devices

    monkeypatch.setattr(mascot_ffi, "probe_cuda", lambda: probe, raising=False)
    monkeypatch.setattr(mascot_ffi, "build_info", lambda: build)
    monkeypatch.setattr(jax, "local_devices", local_devices)
    return devices


@pytest.mark.parametrize("backend", ["auto", "cuda"])
def test_a_gpu_is_taken_where_all_is_there(monkeypatch, backend):
    (device,) = machine(monkeypatch, READY, capabilities=["9.0"])
    assert choose_device(backend) is device


def test_a_gpu_that_the_module_has_no_code_for_is_passed_over(monkeypatch):
    probe = READY | {"devices": [PASCAL, H200]}
    for capabilities in (["6.1", "9.0"], ["9.0"]):
        devices = machine(monkeypatch, probe, capabilities=capabilities)
        assert choose_device("cuda") is devices[-1]


@pytest.mark.parametrize("case", OBSTACLES)
def test_auto_falls_back_to_the_cpu_without_a_word(monkeypatch, capfd, case):
    probe, build, *_ = OBSTACLES[case]
    machine(monkeypatch, probe, build)
    assert choose_device("auto").platform == "cpu"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("case", OBSTACLES)
def test_cuda_says_what_is_missing(monkeypatch, case):
    probe, build, *_ = OBSTACLES[case]
    machine(monkeypatch, probe, build)
    with pytest.raises(BackendError, match="the cuda back end cannot be used") as caught:
        choose_device("cuda")
    jax_error = "Unknown backend: 'cuda' requested"
    assert str(caught.value).endswith(explain(probe, build, jax_error))


def test_a_gpu_that_only_jax_leaves_out_is_jaxs(monkeypatch):
    machine(monkeypatch, READY | {"devices": [PASCAL, H200]}, capabilities=["6.1"])
    with pytest.raises(BackendError, match="JAX has no CUDA device"):
        choose_device("cuda")
    assert choose_device("auto").platform == "cpu"


def several(monkeypatch, probe, capabilities, of_others=()):
    """Pretend GPUs of this process, number 1, and of process 0."""
    own = machine(monkeypatch, probe, capabilities=capabilities)
    others = [SimpleNamespace(compute_capability=c, platform="gpu") for c in of_others]
    for process, devices in enumerate((others, own)):
        for number, device in enumerate(devices):
            device.process_index, device.id = process, 10 * process - number
    monkeypatch.setattr(jax, "devices", lambda backend: [*own, *others])
    return own, others


def test_all_gpus_are_those_of_all_processes_by_process(monkeypatch):
    own, others = several(monkeypatch, READY, ["9.0", "9.0"], ["9.0", "8.0"])
    assert all_gpus() == (*others[::-1], *own[::-1])
    workers = Workers.of_gpus()
    assert (len(workers), workers.platform, workers.races) == (4, "gpu", True)
    assert initialised("cuda") == workers  # one process, for all that jax.distributed says


def test_a_gpu_without_code_shares_no_training(monkeypatch):
    several(monkeypatch, READY | {"devices": [PASCAL, H200]}, ["9.0", "6.1"])
    with pytest.raises(BackendError, match=r"no code for .*6\.1.*: leave it out of CUDA_VISIBLE"):
        all_gpus()


def test_gpus_that_are_not_there_are_named_with_a_remedy(monkeypatch):
    machine(monkeypatch, READY | {"driver": 0, "devices": []})
    with pytest.raises(BackendError, match="there is no NVIDIA driver; install one"):
        initialised("cuda")


def test_cpu_asks_no_gpu(monkeypatch):
    machine(monkeypatch, READY, capabilities=["9.0"])
    monkeypatch.setattr(mascot_ffi, "probe_cuda", None)
    device = choose_device("cpu")
    assert device.platform == "cpu"
    with jax.default_device(device):
        assert jnp.zeros(3).devices() == {device}


def test_a_model_is_used_on_a_gpu_where_that_could_have_trained_it(monkeypatch):
    (gpu,) = machine(monkeypatch, READY, capabilities=["9.0"])
    on_gpu, on_cpu = (TrainSettings().plan(platform) for platform in ("gpu", "cpu"))
    assert device_for_use(on_gpu) is device_for_use(on_gpu, "cuda") is gpu
    assert device_for_use(TrainSettings(rotations=2).plan("gpu")) is gpu
    assert device_for_use(on_gpu, "cpu").platform == device_for_use(on_cpu).platform == "cpu"
    machine(monkeypatch, READY)
    assert device_for_use(on_gpu, "cuda").platform == "cpu"


def test_a_training_takes_the_threads_it_is_told_else_all_it_may_use():
    plan = TrainSettings(writes="store").plan()
    assert execution_of(plan, RunSettings(threads=3)) == Execution(3, writes="store")
    assert execution_of(plan, RunSettings()).threads == usable_cores()
    assert execution_of(plan, RunSettings(), sharers=2).threads == max(1, usable_cores() // 2)
    assert execution_of(plan, RunSettings(), sharers=10_000).threads == 1
    assert execution_of(plan, RunSettings(threads=3), sharers=2).threads == 3


def test_a_system_that_tells_of_no_affinity_may_use_all_cores(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS
    assert usable_cores(tmp_path) == os.cpu_count()


def test_importing_the_library_starts_no_back_end():
    modules = [found.name for found in pkgutil.walk_packages(mascot_jax.__path__, "mascot_jax.")]
    assert {"mascot_jax.data.fetch", "mascot_jax.ranking.top_n"} <= set(modules)
    code = "\n".join(f"import {name}" for name in modules if not name.endswith("__main__"))
    done = subprocess.run(
        # a back end of this name cannot start
        [sys.executable, "-c", code], env=os.environ | {"JAX_PLATFORMS": "none"},
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_hardware_names_the_back_end():
    on_cpu = describe_hardware(jax.local_devices(backend="cpu")[0])
    assert on_cpu["backend"] == "cpu"
    assert "device" not in on_cpu
    on_gpu = describe_hardware(SimpleNamespace(platform="gpu", device_kind="NVIDIA H200"))
    assert on_gpu == on_cpu | {"backend": "cuda", "device": "NVIDIA H200"}
