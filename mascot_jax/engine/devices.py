"""Choose the device to compute on: the CPU, or an NVIDIA GPU if its requirements are met.

Arrays made under ``jax.default_device`` of that device are placed and computed on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from typing import Any, Final

import jax

from mascot_jax.engine import native  # noqa: F401  reports why mascot_ffi does not load
from mascot_jax.engine.cores import usable_cores
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.process import check_process, jax_works_here
from mascot_jax.errors import BackendError
from mascot_jax.settings import Backend, RunSettings, TrainPlan

MANY: Final = 512
"""Queries for which a dispatch to JAX, and a program of a tenth of a second, pay."""


def execution_of(plan: TrainPlan, run: RunSettings, *, sharers: int = 1) -> Execution:
    """Return the kernels' execution options for a training; ``sharers`` share this one's cores."""
    threads = max(1, usable_cores() // sharers) if run.threads is None else run.threads
    return Execution(threads, writes=plan.writes)


def device_for_use(plan: TrainPlan, backend: Backend = "auto") -> jax.Device:
    """Return the device on which to use a model that this plan trained.

    A model trained on a GPU can also be used without one.
    """
    return choose_device("cpu" if plan.beyond_shared_cuda or backend == "cpu" else "auto")


def serving_device(plan: TrainPlan, backend: Backend = "auto") -> jax.Device | None:
    """Return the GPU on which to use a model that this plan trained; None for the CPU without JAX.

    Where JAX does not work, as in a forked child, it is the CPU.
    """
    if plan.beyond_shared_cuda or backend == "cpu" or not jax_works_here() or not _has_gpu():
        return None
    device = device_for_use(plan, backend)
    return None if device.platform == "cpu" else device


def batch_device(plan: TrainPlan, backend: Backend, queries: int) -> jax.Device | None:
    """Return the device on which to rank items for so many queries, as ``serving_device`` does.

    For many, JAX on the CPU takes half the time of NumPy.
    """
    device = serving_device(plan, backend)
    if device is None and queries >= MANY and jax_works_here():
        return jax.local_devices(backend="cpu")[0]
    return device


@cache
def _has_gpu() -> bool:
    """Return whether the native module finds a GPU: JAX, which takes a second, need not look."""
    import mascot_ffi  # ``native`` has checked that it loads

    return bool(_usable(mascot_ffi.probe_cuda() or {"devices": []}))


@contextmanager
def computing_on(device: jax.Device) -> Iterator[None]:
    """Place and compute arrays on a device, whatever the flags of the program around it.

    Some of JAX's flags would change results, or refuse what is meant: NaN stands for a group that
    has not been measured, infinity for an item that is left out. They act on this thread only.
    """
    with ExitStack() as stack:
        for setting in (
            jax.default_device(device),
            jax.threefry_partitionable(True),
            jax.debug_nans(False),
            jax.debug_infs(False),
            jax.debug_key_reuse(False),
            jax.transfer_guard("allow"),
        ):
            stack.enter_context(setting)
        yield


def serving_on(device: jax.Device | None) -> AbstractContextManager[None]:
    """Use a model on a device; None: on the CPU without JAX, whatever the program's default is."""
    if device is not None:
        return computing_on(device)
    context: AbstractContextManager[None] = jax.default_device(None)
    return context


def choose_device(backend: Backend) -> jax.Device:
    """Return the device for a back end.

    Parameters
    ----------
    backend
        ``cpu``; ``cuda``: the first GPU that the native module has code for; ``auto``: that GPU if
        it can be used, else the CPU.

    Raises
    ------
    BackendError
        If ``cuda`` cannot be used; the message says what is missing and how to get it. Or if JAX
        cannot be used at all (``engine.process``).
    """
    check_process()
    if backend != "cpu":
        import mascot_ffi  # ``native`` has checked that it loads

        probe = mascot_ffi.probe_cuda()
        device, jax_error = _first_usable(probe)
        missing = explain(probe, mascot_ffi.build_info(), jax_error)
        if device is not None and missing is None:
            return device
        if backend == "cuda":
            raise BackendError(f"the cuda back end cannot be used: {missing}")
    return jax.local_devices(backend="cpu")[0]


def all_gpus() -> tuple[jax.Device, ...]:
    """Return the GPUs of this process, and of those that it has joined, by process.

    Raises
    ------
    BackendError
        If this process has none that can be used, or sees one that cannot.
    """
    choose_device("cuda")
    import mascot_ffi  # ``native`` has checked that it loads

    usable = _usable_names(mascot_ffi.probe_cuda())
    for device in jax.local_devices(backend="cuda"):
        if device.compute_capability not in usable:
            raise BackendError(
                f"the native module has no code for {device} (compute capability "
                f"{device.compute_capability}): leave it out of CUDA_VISIBLE_DEVICES, as all GPUs "
                "that a process sees share a training"
            )
    return tuple(sorted(jax.devices("cuda"), key=lambda gpu: (gpu.process_index, gpu.id)))


def explain(probe: dict[str, Any] | None, build: dict[str, Any], jax_error: str) -> str | None:
    """Return why CUDA cannot be used and what to do about it; None if it can.

    Parameters
    ----------
    probe
        Result of ``mascot_ffi.probe_cuda``.
    build
        Result of ``mascot_ffi.build_info``.
    jax_error
        Why JAX has no usable CUDA device; empty if it has one.
    """
    if probe is None:
        return (
            "the native module was built without CUDA; install the CUDA toolkit, so that nvcc is "
            "on the PATH, and run `pip install . -C cmake.define.MASCOT_CUDA=on` in the checkout"
        )
    driver, runtime = probe["driver"], probe["runtime"]
    if driver == 0:
        return (
            f"there is no NVIDIA driver; install one for CUDA {_version(runtime)} or newer (in a "
            "container: start it with access to the GPUs)"
        )
    # Within a major version of CUDA, a program runs on drivers older than itself.
    if driver // 1000 < runtime // 1000:
        return (
            f"the NVIDIA driver runs CUDA up to {_version(driver)}, the native module was built "
            f"with {_version(runtime)}; update the driver, or build with a toolkit that it runs"
        )
    if not probe["devices"]:
        found = f"no GPU ({probe['error']})" if probe["error"] else "no GPU"
        return f"the NVIDIA driver finds {found}; see `nvidia-smi -L` and CUDA_VISIBLE_DEVICES"
    if not _usable(probe):
        names = (f"{d['name']} ({_capability(d['capability'])})" for d in probe["devices"])
        built = ", ".join(map(_capability, build["cuda"]["architectures"]))
        return (
            f"no GPU here has a compute capability that the native module was built for: "
            f"{', '.join(names)}; built for {built}; use a newer GPU or the cpu back end"
        )
    if jax_error:
        return (
            f"JAX has no CUDA device ({jax_error}); run `pip install 'jax[cuda{runtime // 1000}]'`,"
            " and if JAX_PLATFORMS is set, let it name cuda"
        )
    return None


def _first_usable(probe: dict[str, Any] | None) -> tuple[jax.Device | None, str]:
    """Return JAX's first device that the native module has code for, or why there is none."""
    try:
        devices = jax.local_devices(backend="cuda")
    except RuntimeError as error:  # no plug-in, or one that does not start
        return None, " ".join(str(error).split())
    usable = _usable_names(probe)
    for device in devices:
        if device.compute_capability in usable:
            return device, ""
    return None, "it is kept from the usable ones"


def _usable_names(probe: dict[str, Any] | None) -> set[str]:
    """Return the compute capabilities that the native module has code for, as JAX names them.

    Devices are matched by these, not by number: JAX may be told to skip some that CUDA counts.
    """
    return {_capability(capability) for capability in _usable(probe or {"devices": []})}


def _usable(probe: dict[str, Any]) -> set[int]:
    """Return the compute capabilities of the devices that the native module has code for."""
    return {device["capability"] for device in probe["devices"] if device["usable"]}


def _capability(number: int) -> str:
    """Format a compute capability as NVIDIA and JAX do: 90 is 9.0."""
    return f"{number // 10}.{number % 10}"


def _version(number: int) -> str:
    """Format a CUDA version: 13010 is 13.1."""
    return f"{number // 1000}.{number % 1000 // 10}"
