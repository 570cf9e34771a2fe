"""What a device's memory can do: bytes per second of a plain copy, measured through JAX."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from benchmarks.harness.timing import Variant, time_rounds

LARGE = 1 << 32
"""Bytes of an array that no cache holds."""
LARGE_ON_CPU = 1 << 26
IN_CACHE = tuple(mib << 20 for mib in (8, 12, 16, 24, 32))
"""Bytes of arrays that an L2 of 50 MiB may hold, halves of which are apart on some devices."""
ROUNDS = 9
IN_A_ROW = 8
IN_A_ROW_IN_CACHE = 400


def copy_bandwidth(device: jax.Device) -> float:
    """Return bytes read and written per second, copying a large array on the device.

    The better of a copy engine's way and a kernel's; each the median of several.
    """
    size = LARGE if device.platform != "cpu" else LARGE_ON_CPU
    # One after the other: the arrays of both at once may be more than the device holds.
    ways = (jax.jit(jnp.copy), jax.jit(lambda x: x + jnp.float32(1)))
    return max(_bandwidth(device, size, way, IN_A_ROW) for way in ways)


def cache_bandwidth(device: jax.Device) -> float:
    """Return the same of arrays that are updated in place so often that they stay in the L2.

    The best of several sizes. An estimate from below: launching the kernels takes part of it.
    """

    @jax.jit
    def repeat(array: jax.Array) -> jax.Array:
        result: jax.Array = jax.lax.fori_loop(
            0, IN_A_ROW_IN_CACHE, lambda _, x: x + jnp.float32(1), array
        )
        return result

    sizes = IN_CACHE if device.platform != "cpu" else IN_CACHE[:1]
    return max(IN_A_ROW_IN_CACHE * _bandwidth(device, size, repeat, 1) for size in sizes)


def _bandwidth(
    device: jax.Device, size: int, step: Callable[[jax.Array], jax.Array], in_a_row: int
) -> float:
    with jax.default_device(device):
        array = jnp.zeros(size // 4, jnp.float32)
    timings = time_rounds([Variant("copy", lambda: array, step)], ROUNDS, in_a_row)
    return 2 * size / timings.median("copy")
