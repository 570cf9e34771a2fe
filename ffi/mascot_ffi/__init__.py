"""The native kernels, compiled: nothing but the extension modules and what they were built from.

Installed as a top-level package, so that the ``mascot_jax`` folder of a checkout, which Python
finds first, does not hide it.
"""

from typing import Any

from mascot_ffi import _cpu

FFI_API_VERSION: tuple[int, int] = _cpu.build_info()["ffi_api_version"]


def build_info() -> dict[str, Any]:
    """Return compiler, source hash, FFI API version and usable instruction sets (best first)."""
    return dict(_cpu.build_info())


def registrations() -> dict[str, dict[str, Any]]:
    """Return, for each platform name that JAX knows, the FFI targets as name -> capsule."""
    return {"cpu": dict(_cpu.registrations())}
