"""What a benchmark ran on: the card, its driver, and what was run."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax
import mascot_ffi

from pipeline.common.hardware import describe_hardware

ROOT = Path(__file__).resolve().parents[2]
ATTRIBUTES = {"multiprocessors": 16, "l2_bytes": 38, "clock_khz": 13, "memory_clock_khz": 36}
"""``CUdevice_attribute`` of the driver's interface."""
PACKAGES = ("jax", "jaxlib", "jax-cuda13-plugin", "jax-cuda12-plugin", "numpy")


def describe_card(device: jax.Device) -> dict[str, Any]:
    """Return the device, its driver, CUDA versions, the libraries' and the source's."""
    build = mascot_ffi.build_info()
    found = describe_hardware(device) | {
        "versions": {name: v for name in PACKAGES if (v := _version(name))},
        "commit": _output("git", "-C", str(ROOT), "rev-parse", "HEAD"),
        "changed": _output("git", "-C", str(ROOT), "status", "--porcelain") != "",
        "source_hash": build["source_hash"],
    }
    if device.platform == "cpu":
        return dict(found)
    probe = mascot_ffi.probe_cuda() or {}
    query = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0")
    return dict(found) | {
        "driver": _output(*query),
        "cuda_of_driver": probe.get("driver"),
        "cuda_of_build": probe.get("runtime"),
        "capability": device.compute_capability,
        **_attributes(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _output(*command: str) -> str | None:
    """Return what a command prints; None if it is not there or fails."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _attributes() -> dict[str, int]:
    """Ask the driver about the first device; nothing if it cannot be asked."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return {}
    device, value = ctypes.c_int(), ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), 0):
        return {}
    found = {}
    for name, number in ATTRIBUTES.items():
        if driver.cuDeviceGetAttribute(ctypes.byref(value), number, device) == 0:
            found[name] = value.value
    return found
