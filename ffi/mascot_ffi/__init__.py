"""The native kernels, compiled: nothing but the extension modules and what they were built from.

Installed as a top-level package, so that the ``mascot_jax`` folder of a checkout, which Python
finds first, does not hide it.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from mascot_ffi import _cpu
from mascot_ffi._cpu import Predictor as Predictor
from mascot_ffi._cpu import draw_list as draw_list
from mascot_ffi._cpu import write_mixed_axes as write_mixed_axes

# Built only where a CUDA compiler was found; there, it imports without a driver.
_cuda = import_module("mascot_ffi._cuda") if find_spec("mascot_ffi._cuda") else None

FFI_API_VERSION: tuple[int, int] = _cpu.build_info()["ffi_api_version"]


def build_info() -> dict[str, Any]:
    """Return compiler, source hash, FFI API version and usable instruction sets (best first).

    ``cuda`` holds the same of the CUDA module, with the architectures it was built for in place of
    instruction sets; None where it was not built.
    """
    return {**_cpu.build_info(), "cuda": _cuda and dict(_cuda.build_info())}


def registrations() -> dict[str, dict[str, Any]]:
    """Return, for each platform name that JAX knows, the FFI targets as name -> capsule."""
    built = {"cpu": _cpu, "CUDA": _cuda}
    return {name: dict(module.registrations()) for name, module in built.items() if module}


def probe_cuda() -> dict[str, Any] | None:
    """Return what the CUDA module finds to run on; None where it was not built.

    ``driver`` and ``runtime`` are CUDA versions (13000 is 13.0; driver 0: there is none), ``error``
    says why devices could not be counted, ``devices`` lists ``name``, ``capability`` (90 is 9.0)
    and ``usable``.
    """
    return dict(_cuda.probe()) if _cuda else None
