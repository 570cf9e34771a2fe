"""What a device's memory can do: bytes per second of a plain copy, measured through JAX."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

LARGE = 1 << 32
"""Bytes of an array that no cache holds."""
LARGE_ON_CPU = 1 << 26
IN_CACHE = tuple(mib << 20 for mib in (8, 12, 16, 24, 32))
"""Bytes of arrays that an L2 of 50 MiB may hold, halves of which are apart on some devices."""
REPEATS = 9
IN_A_ROW = 8
IN_A_ROW_IN_CACHE = 400


def copy_bandwidth(device: jax.Device) -> float:
    """Return bytes read and written per second, copying a large array on the device.

    The better of a copy engine's way and a kernel's; each the median of several.
    """
    size = LARGE if device.platform != "cpu" else LARGE_ON_CPU
    with jax.default_device(device):
        source = jnp.zeros(size // 4, jnp.float32)
    ways = [jax.jit(jnp.copy), jax.jit(lambda x: x + jnp.float32(1))]

    def several(way: Callable[[jax.Array], jax.Array]) -> jax.Array:
        for _ in range(IN_A_ROW):
            result = way(source)
        return result

    return max(2 * size * IN_A_ROW / _median_seconds(partial(several, way)) for way in ways)


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

    def of(size: int) -> float:
        with jax.default_device(device):
            array = jnp.zeros(size // 4, jnp.float32)
        return 2 * size * IN_A_ROW_IN_CACHE / _median_seconds(lambda: repeat(array))

    return max(of(size) for size in (IN_CACHE if device.platform != "cpu" else IN_CACHE[:1]))


def _median_seconds(run: Callable[[], jax.Array]) -> float:
    jax.block_until_ready(run())
    seconds = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        jax.block_until_ready(run())
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)
