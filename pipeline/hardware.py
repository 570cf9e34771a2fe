"""What a timing was taken on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import jax
import mascot_ffi


def describe_hardware() -> dict[str, str | int]:
    """Return back end, processor, cores and instruction set, for timings and benchmarks."""
    return {
        "backend": jax.default_backend(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "instruction_set": mascot_ffi.build_info()["instruction_sets"][0],
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
