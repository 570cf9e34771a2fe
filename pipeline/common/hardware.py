"""Describe the hardware of a timing."""

from __future__ import annotations

import platform
from pathlib import Path

import jax
import mascot_ffi

from mascot_jax.engine.cores import usable_cores


def describe_hardware(device: jax.Device | None = None) -> dict[str, str | int]:
    """Describe the hardware that timings and benchmarks ran on.

    Return back end, processor, cores and instruction set; on a GPU, also its name as ``device``.
    The argument None is JAX's default device.
    """
    device = device or jax.local_devices()[0]
    on_gpu = device.platform != "cpu"
    return {
        "backend": "cuda" if on_gpu else "cpu",  # JAX calls the platform gpu
        "processor": _processor(),
        "cores": usable_cores(),
        "instruction_set": mascot_ffi.build_info()["instruction_sets"][0],
        **({"device": device.device_kind} if on_gpu else {}),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
